-- The tables that trading is projected into: what exists, who trades, orders, fills, balances, movements.
-- tenon: phase=expand
--
-- Prices, quantities and amounts are integers: counts of 10^-scale units, with the scales of
-- instruments and assets. Times are nanoseconds since 1970 UTC. Enumerations are the numbers of
-- tenon/abi/trading.h. Primary keys are such that writing an event again changes nothing.

CREATE TABLE users (
    id              INTEGER PRIMARY KEY,
    name            TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),
    enabled         INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    created_real_ns INTEGER NOT NULL CHECK (created_real_ns >= 0)
) STRICT;

CREATE TABLE assets (
    id    INTEGER PRIMARY KEY CHECK (id >= 0),
    name  TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 32),
    scale INTEGER NOT NULL CHECK (scale BETWEEN 0 AND 8)
) STRICT;

CREATE TABLE instruments (
    id             INTEGER PRIMARY KEY CHECK (id >= 0),
    symbol         TEXT NOT NULL UNIQUE CHECK (length(symbol) BETWEEN 1 AND 32),
    base           INTEGER REFERENCES assets (id),
    quote          INTEGER REFERENCES assets (id),
    price_scale    INTEGER NOT NULL DEFAULT 0 CHECK (price_scale BETWEEN 0 AND 18),
    quantity_scale INTEGER NOT NULL DEFAULT 0 CHECK (quantity_scale BETWEEN 0 AND 18),
    status         INTEGER NOT NULL DEFAULT 1 CHECK (status IN (1, 2, 3)),
    CONSTRAINT base_is_not_quote CHECK (base IS NULL OR base <> quote)
) STRICT;

CREATE TABLE accounts (
    id              INTEGER PRIMARY KEY CHECK (id > 0),
    name            TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 32),
    user_id         INTEGER REFERENCES users (id),
    enabled         INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    created_real_ns INTEGER NOT NULL DEFAULT 0 CHECK (created_real_ns >= 0),
    updated_real_ns INTEGER NOT NULL DEFAULT 0 CHECK (updated_real_ns >= 0)
) STRICT;

CREATE INDEX accounts_user ON accounts (user_id) WHERE user_id IS NOT NULL;

-- Where deposits come from, where fees go, and the counterparty of fills against a market.
INSERT INTO accounts (id, name) VALUES (1, 'external'), (2, 'fees'), (3, 'venues');

-- `material` is a sealed secret or a public key, never a secret in clear.
CREATE TABLE api_credentials (
    key             TEXT PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 64),
    account         INTEGER NOT NULL REFERENCES accounts (id),
    kind            INTEGER NOT NULL CHECK (kind IN (1, 2)),
    permissions     INTEGER NOT NULL CHECK (permissions >= 0),
    material        BLOB NOT NULL CHECK (length(material) BETWEEN 1 AND 256),
    label           TEXT NOT NULL,
    created_real_ns INTEGER NOT NULL CHECK (created_real_ns >= 0),
    revoked         INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1))
) STRICT;

CREATE INDEX api_credentials_account ON api_credentials (account);

CREATE TABLE orders (
    order_id         INTEGER PRIMARY KEY CHECK (order_id > 0),
    account          INTEGER NOT NULL REFERENCES accounts (id),
    instrument       INTEGER NOT NULL REFERENCES instruments (id),
    side             INTEGER NOT NULL CHECK (side IN (0, 1)),
    type             INTEGER NOT NULL CHECK (type BETWEEN 1 AND 7),
    time_in_force    INTEGER NOT NULL CHECK (time_in_force BETWEEN 0 AND 3),
    status           INTEGER NOT NULL CHECK (status BETWEEN 1 AND 7),
    price            INTEGER NOT NULL CHECK (price >= 0),
    quantity         INTEGER NOT NULL CHECK (quantity >= 0),
    quote_quantity   INTEGER NOT NULL CHECK (quote_quantity >= 0),
    filled_quantity  INTEGER NOT NULL CHECK (filled_quantity >= 0),
    filled_quote     INTEGER NOT NULL CHECK (filled_quote >= 0),
    created_real_ns  INTEGER NOT NULL CHECK (created_real_ns >= 0),
    updated_real_ns  INTEGER NOT NULL CHECK (updated_real_ns >= 0),
    update_sequence  INTEGER NOT NULL CHECK (update_sequence > 0),
    reject           INTEGER NOT NULL CHECK (reject >= 0),
    client_id        TEXT NOT NULL,
    cancel_client_id TEXT NOT NULL,
    CONSTRAINT not_filled_beyond_quantity CHECK (quote_quantity > 0 OR filled_quantity <= quantity),
    CONSTRAINT has_a_quantity CHECK (quantity > 0 OR quote_quantity > 0)
) STRICT;

CREATE INDEX orders_account_instrument ON orders (account, instrument, order_id);
CREATE INDEX orders_account_created ON orders (account, instrument, created_real_ns);
CREATE INDEX orders_client_id ON orders (account, client_id, order_id);
CREATE INDEX orders_instrument_status_created ON orders (instrument, status, created_real_ns);
CREATE INDEX orders_open ON orders (account, instrument) WHERE status <= 3;

-- A trade between two accounts has a row for each side.
CREATE TABLE trades (
    instrument   INTEGER NOT NULL REFERENCES instruments (id),
    trade_id     INTEGER NOT NULL CHECK (trade_id > 0),
    side         INTEGER NOT NULL CHECK (side IN (0, 1)),
    order_id     INTEGER NOT NULL REFERENCES orders (order_id),
    account      INTEGER NOT NULL REFERENCES accounts (id),
    is_maker     INTEGER NOT NULL CHECK (is_maker IN (0, 1)),
    price        INTEGER NOT NULL CHECK (price > 0),
    quantity     INTEGER NOT NULL CHECK (quantity > 0),
    quote_amount INTEGER NOT NULL CHECK (quote_amount >= 0),
    fee          INTEGER NOT NULL CHECK (fee >= 0),
    fee_asset    INTEGER NOT NULL REFERENCES assets (id),
    time_real_ns INTEGER NOT NULL CHECK (time_real_ns >= 0),
    sequence     INTEGER NOT NULL CHECK (sequence > 0),
    PRIMARY KEY (instrument, trade_id, side)
) STRICT;

CREATE INDEX trades_time_instrument ON trades (time_real_ns, instrument);
CREATE INDEX trades_account_instrument ON trades (account, instrument, trade_id);
CREATE INDEX trades_account_time ON trades (account, instrument, time_real_ns);
CREATE INDEX trades_order ON trades (order_id);

CREATE TABLE balances (
    account         INTEGER NOT NULL REFERENCES accounts (id),
    asset           INTEGER NOT NULL REFERENCES assets (id),
    free            INTEGER NOT NULL,
    locked          INTEGER NOT NULL,
    update_sequence INTEGER NOT NULL CHECK (update_sequence > 0),
    PRIMARY KEY (account, asset),
    CONSTRAINT users_owe_nothing CHECK (account IN (1, 3) OR (free >= 0 AND locked >= 0))
) STRICT, WITHOUT ROWID;

-- Transfers between accounts: deposits, withdrawals, corrections. Append only.
CREATE TABLE ledger_entries (
    sequence     INTEGER NOT NULL CHECK (sequence > 0),
    event_index  INTEGER NOT NULL CHECK (event_index >= 0),
    from_account INTEGER NOT NULL REFERENCES accounts (id),
    to_account   INTEGER NOT NULL REFERENCES accounts (id),
    asset        INTEGER NOT NULL REFERENCES assets (id),
    amount       INTEGER NOT NULL CHECK (amount > 0),
    reference    TEXT NOT NULL,
    time_real_ns INTEGER NOT NULL CHECK (time_real_ns >= 0),
    PRIMARY KEY (sequence, event_index),
    CONSTRAINT between_two_accounts CHECK (from_account <> to_account)
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_entries_from ON ledger_entries (from_account, time_real_ns);
CREATE INDEX ledger_entries_to ON ledger_entries (to_account, time_real_ns);
CREATE INDEX ledger_entries_reference ON ledger_entries (reference) WHERE reference <> '';

-- How far a projection has come: the last command that is in these tables as a whole.
CREATE TABLE projection_offset (
    name            TEXT PRIMARY KEY,
    sequence        INTEGER NOT NULL CHECK (sequence >= 0),
    updated_real_ns INTEGER NOT NULL CHECK (updated_real_ns >= 0)
) STRICT;
