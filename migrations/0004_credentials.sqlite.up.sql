-- Keys of exchanges that users trade with, sealed under the server's master key.
-- tenon: phase=expand
--
-- What is sealed is bound to its row and column: a value that is moved to another row, user, exchange
-- or column does not open. `key_hint` is the end of the API key, for people to tell keys apart;
-- `master_key` names the key that all values of the row are sealed under, which a rotation goes by.

CREATE TABLE exchange_credentials (
    id                INTEGER PRIMARY KEY,
    user_id           INTEGER NOT NULL REFERENCES users (id),
    exchange          TEXT NOT NULL,
    label             TEXT NOT NULL,
    key_hint          TEXT NOT NULL,
    api_key_sealed    BLOB NOT NULL,
    secret_sealed     BLOB NOT NULL,
    passphrase_sealed BLOB,
    master_key        TEXT NOT NULL,
    created_real_ns   INTEGER NOT NULL,
    updated_real_ns   INTEGER NOT NULL,
    CONSTRAINT credential_id_is_positive CHECK (id > 0),
    CONSTRAINT credential_is_unique UNIQUE (user_id, exchange, label),
    CONSTRAINT credential_exchange_is_named CHECK (length(exchange) BETWEEN 1 AND 32),
    CONSTRAINT credential_label_is_short CHECK (length(label) BETWEEN 1 AND 64),
    CONSTRAINT credential_hint_is_short CHECK (length(key_hint) <= 4),
    CONSTRAINT credential_is_sealed
        CHECK (length(api_key_sealed) BETWEEN 41 AND 8192 AND length(secret_sealed) BETWEEN 41 AND 8192
               AND (passphrase_sealed IS NULL OR length(passphrase_sealed) BETWEEN 41 AND 8192)),
    CONSTRAINT credential_master_key_is_named CHECK (length(master_key) <= 16),
    CONSTRAINT credential_times_are_in_order
        CHECK (created_real_ns >= 0 AND updated_real_ns >= created_real_ns)
) STRICT;

CREATE INDEX exchange_credentials_user_time ON exchange_credentials (user_id, created_real_ns DESC);
CREATE INDEX exchange_credentials_master_key ON exchange_credentials (master_key, id);
