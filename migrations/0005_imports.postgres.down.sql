-- tenon: destructive=true
DROP TABLE import_bad_rows;
DROP TABLE imported_rows;
DROP TABLE import_tables;
DROP TABLE imports;
