-- What orders lose without a trade, and what the book shows of them.
-- tenon: phase=expand
--
-- prevented_matches: two orders of one account that would have traded, and what that took of each (0:
-- nothing). order_amendments: orders whose quantity was made less. Both as the engine told them; the orders
-- may be archived.
ALTER TABLE orders ADD COLUMN display_quantity BIGINT NOT NULL DEFAULT 0 CHECK (display_quantity >= 0);
ALTER TABLE orders ADD COLUMN prevented_quantity BIGINT NOT NULL DEFAULT 0 CHECK (prevented_quantity >= 0);
ALTER TABLE orders ADD COLUMN prevented_match_id BIGINT NOT NULL DEFAULT 0 CHECK (prevented_match_id >= 0);
ALTER TABLE orders ADD COLUMN trailing_delta BIGINT NOT NULL DEFAULT 0 CHECK (trailing_delta BETWEEN 0 AND 9999);
ALTER TABLE orders ADD COLUMN stp_mode BIGINT NOT NULL DEFAULT 0 CHECK (stp_mode BETWEEN 0 AND 5);
ALTER TABLE orders ADD COLUMN expires_real_ns BIGINT NOT NULL DEFAULT 0 CHECK (expires_real_ns >= 0);

CREATE TABLE prevented_matches (
    instrument     BIGINT NOT NULL REFERENCES instruments (id),
    match_id       BIGINT NOT NULL CHECK (match_id > 0),
    taker_order_id BIGINT NOT NULL CHECK (taker_order_id > 0),
    maker_order_id BIGINT NOT NULL CHECK (maker_order_id > 0),
    account        BIGINT NOT NULL REFERENCES accounts (id),
    stp_mode       BIGINT NOT NULL CHECK (stp_mode BETWEEN 1 AND 5),
    price          BIGINT NOT NULL CHECK (price > 0),
    taker_quantity BIGINT NOT NULL CHECK (taker_quantity >= 0),
    maker_quantity BIGINT NOT NULL CHECK (maker_quantity >= 0),
    time_real_ns   BIGINT NOT NULL CHECK (time_real_ns >= 0),
    sequence       BIGINT NOT NULL CHECK (sequence > 0),
    PRIMARY KEY (instrument, match_id)
);

CREATE INDEX prevented_matches_account ON prevented_matches (account, instrument, match_id);

CREATE TABLE order_amendments (
    order_id      BIGINT NOT NULL CHECK (order_id > 0),
    sequence      BIGINT NOT NULL CHECK (sequence > 0),
    account       BIGINT NOT NULL REFERENCES accounts (id),
    instrument    BIGINT NOT NULL REFERENCES instruments (id),
    old_client_id TEXT COLLATE "C" NOT NULL,
    client_id     TEXT COLLATE "C" NOT NULL,
    old_quantity  BIGINT NOT NULL CHECK (old_quantity > quantity),
    quantity      BIGINT NOT NULL CHECK (quantity > 0),
    time_real_ns  BIGINT NOT NULL CHECK (time_real_ns >= 0),
    PRIMARY KEY (order_id, sequence)
);
