-- tenon: destructive=true
DROP TABLE order_amendments;
DROP TABLE prevented_matches;
ALTER TABLE orders DROP COLUMN expires_real_ns;
ALTER TABLE orders DROP COLUMN stp_mode;
ALTER TABLE orders DROP COLUMN trailing_delta;
ALTER TABLE orders DROP COLUMN prevented_match_id;
ALTER TABLE orders DROP COLUMN prevented_quantity;
ALTER TABLE orders DROP COLUMN display_quantity;
