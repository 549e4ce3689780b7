-- tenon: destructive=true
ALTER TABLE orders DROP COLUMN working_real_ns;
ALTER TABLE orders DROP COLUMN stop_price;
