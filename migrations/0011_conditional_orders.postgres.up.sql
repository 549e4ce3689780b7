-- Orders that wait for a price: the price, and since when an order may trade.
-- tenon: phase=expand
--
-- working_real_ns is 0 for one that waits; rows of before have 0 and a stop_price of 0.
ALTER TABLE orders ADD COLUMN stop_price BIGINT NOT NULL DEFAULT 0 CHECK (stop_price >= 0);
ALTER TABLE orders ADD COLUMN working_real_ns BIGINT NOT NULL DEFAULT 0 CHECK (working_real_ns >= 0);
