-- Local users of the web console: who may sign in with a password, in which roles, for which accounts.
-- tenon: phase=expand
--
-- password_hash is argon2id as libsodium writes it, parameters included. roles is a sum: 1 viewer,
-- 2 trader, 4 operator. An account is named, since accounts live in the engine.

CREATE TABLE console_users (
    name            TEXT NOT NULL PRIMARY KEY,
    password_hash   TEXT NOT NULL,
    roles           INTEGER NOT NULL,
    disabled        INTEGER NOT NULL DEFAULT 0,
    created_real_ns INTEGER NOT NULL,
    updated_real_ns INTEGER NOT NULL,
    CONSTRAINT console_user_has_a_name CHECK (length(name) BETWEEN 1 AND 32),
    CONSTRAINT console_user_has_a_hash CHECK (length(password_hash) BETWEEN 1 AND 128),
    CONSTRAINT console_user_has_known_roles CHECK (roles BETWEEN 1 AND 7),
    CONSTRAINT console_user_is_disabled_or_not CHECK (disabled IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE console_user_accounts (
    user_name TEXT NOT NULL REFERENCES console_users (name),
    account   TEXT NOT NULL,
    PRIMARY KEY (user_name, account),
    CONSTRAINT console_user_account_is_named CHECK (length(account) BETWEEN 1 AND 32)
) STRICT, WITHOUT ROWID;
