-- Order lists: orders of which one ends the other, and which of them belong together.
-- tenon: phase=expand
--
-- A list has the id of its first order. Its orders stand here, too: those of `orders` may be archived.
CREATE TABLE order_lists (
    list_id         INTEGER PRIMARY KEY CHECK (list_id > 0),
    account         INTEGER NOT NULL REFERENCES accounts (id),
    instrument      INTEGER NOT NULL REFERENCES instruments (id),
    contingency     INTEGER NOT NULL CHECK (contingency = 1),
    status          INTEGER NOT NULL CHECK (status IN (1, 2)),
    created_real_ns INTEGER NOT NULL CHECK (created_real_ns >= 0),
    updated_real_ns INTEGER NOT NULL CHECK (updated_real_ns >= 0),
    update_sequence INTEGER NOT NULL CHECK (update_sequence > 0),
    client_id       TEXT NOT NULL
) STRICT;

CREATE INDEX order_lists_account ON order_lists (account, list_id);
CREATE INDEX order_lists_client_id ON order_lists (account, client_id, list_id);

CREATE TABLE order_list_orders (
    list_id   INTEGER NOT NULL REFERENCES order_lists (list_id),
    order_id  INTEGER NOT NULL,
    client_id TEXT NOT NULL,
    PRIMARY KEY (list_id, order_id)
) STRICT, WITHOUT ROWID;

ALTER TABLE orders ADD COLUMN list_id INTEGER NOT NULL DEFAULT 0 CHECK (list_id >= 0);
