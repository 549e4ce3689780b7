-- Order lists: orders of which one ends the other, and which of them belong together.
-- tenon: phase=expand
--
-- A list has the id of its first order. Its orders stand here, too: those of `orders` may be archived.
CREATE TABLE order_lists (
    list_id         BIGINT PRIMARY KEY CHECK (list_id > 0),
    account         BIGINT NOT NULL REFERENCES accounts (id),
    instrument      BIGINT NOT NULL REFERENCES instruments (id),
    contingency     BIGINT NOT NULL CHECK (contingency = 1),
    status          BIGINT NOT NULL CHECK (status IN (1, 2)),
    created_real_ns BIGINT NOT NULL CHECK (created_real_ns >= 0),
    updated_real_ns BIGINT NOT NULL CHECK (updated_real_ns >= 0),
    update_sequence BIGINT NOT NULL CHECK (update_sequence > 0),
    client_id       TEXT COLLATE "C" NOT NULL
);

CREATE INDEX order_lists_account ON order_lists (account, list_id);
CREATE INDEX order_lists_client_id ON order_lists (account, client_id, list_id);

CREATE TABLE order_list_orders (
    list_id   BIGINT NOT NULL REFERENCES order_lists (list_id),
    order_id  BIGINT NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (list_id, order_id)
);

ALTER TABLE orders ADD COLUMN list_id BIGINT NOT NULL DEFAULT 0 CHECK (list_id >= 0);
