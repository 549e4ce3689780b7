-- What orders lose without a trade, and what the book shows of them.
-- tenon: phase=expand
--
-- prevented_matches: two orders of one account that would have traded, and what that took of each (0:
-- nothing). order_amendments: orders whose quantity was made less. Both as the engine told them; the orders
-- may be archived.
ALTER TABLE orders ADD COLUMN display_quantity INTEGER NOT NULL DEFAULT 0 CHECK (display_quantity >= 0);
ALTER TABLE orders ADD COLUMN prevented_quantity INTEGER NOT NULL DEFAULT 0 CHECK (prevented_quantity >= 0);
ALTER TABLE orders ADD COLUMN prevented_match_id INTEGER NOT NULL DEFAULT 0 CHECK (prevented_match_id >= 0);
ALTER TABLE orders ADD COLUMN trailing_delta INTEGER NOT NULL DEFAULT 0 CHECK (trailing_delta BETWEEN 0 AND 9999);
ALTER TABLE orders ADD COLUMN stp_mode INTEGER NOT NULL DEFAULT 0 CHECK (stp_mode BETWEEN 0 AND 5);
ALTER TABLE orders ADD COLUMN expires_real_ns INTEGER NOT NULL DEFAULT 0 CHECK (expires_real_ns >= 0);

CREATE TABLE prevented_matches (
    instrument     INTEGER NOT NULL REFERENCES instruments (id),
    match_id       INTEGER NOT NULL CHECK (match_id > 0),
    taker_order_id INTEGER NOT NULL CHECK (taker_order_id > 0),
    maker_order_id INTEGER NOT NULL CHECK (maker_order_id > 0),
    account        INTEGER NOT NULL REFERENCES accounts (id),
    stp_mode       INTEGER NOT NULL CHECK (stp_mode BETWEEN 1 AND 5),
    price          INTEGER NOT NULL CHECK (price > 0),
    taker_quantity INTEGER NOT NULL CHECK (taker_quantity >= 0),
    maker_quantity INTEGER NOT NULL CHECK (maker_quantity >= 0),
    time_real_ns   INTEGER NOT NULL CHECK (time_real_ns >= 0),
    sequence       INTEGER NOT NULL CHECK (sequence > 0),
    PRIMARY KEY (instrument, match_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX prevented_matches_account ON prevented_matches (account, instrument, match_id);

CREATE TABLE order_amendments (
    order_id      INTEGER NOT NULL CHECK (order_id > 0),
    sequence      INTEGER NOT NULL CHECK (sequence > 0),
    account       INTEGER NOT NULL REFERENCES accounts (id),
    instrument    INTEGER NOT NULL REFERENCES instruments (id),
    old_client_id TEXT NOT NULL,
    client_id     TEXT NOT NULL,
    old_quantity  INTEGER NOT NULL CHECK (old_quantity > quantity),
    quantity      INTEGER NOT NULL CHECK (quantity > 0),
    time_real_ns  INTEGER NOT NULL CHECK (time_real_ns >= 0),
    PRIMARY KEY (order_id, sequence)
) STRICT, WITHOUT ROWID;
