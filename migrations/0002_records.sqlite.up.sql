-- What the platform keeps beside trading itself: settings, licences, money, strategies, news, upkeep.
-- tenon: phase=expand
--
-- Conventions of 0001. `quantity` counts 10^-quantity_scale and prices count 10^-price_scale of the
-- row's instrument; profit, fees and values count 10^-scale of its quote asset. Where an amount has
-- no instrument, a column beside it holds the scale. Ratios are basis points (_bp) or stand for
-- 10^-4 (sentiment_score). Side 0 buys, 1 sells. A named constraint is a business rule: its name is
-- the error's code. Both dialects declare the same tables, columns, constraints and indexes.

-- A venue may correct or bust a fill after the fact: 1 final, 2 corrected, 3 busted.
ALTER TABLE trades ADD COLUMN status INTEGER NOT NULL DEFAULT 1
    CONSTRAINT trade_status_is_known CHECK (status BETWEEN 1 AND 3);

CREATE INDEX trades_account_status ON trades (account, status, time_real_ns DESC);
CREATE INDEX orders_account_status ON orders (account, status, created_real_ns DESC);

CREATE TABLE model_registry (
    id              INTEGER PRIMARY KEY,
    name            TEXT NOT NULL,
    version         INTEGER NOT NULL,
    provider        TEXT NOT NULL,
    status          TEXT NOT NULL DEFAULT 'draft',
    artifact_sha256 TEXT,
    parameters      TEXT NOT NULL DEFAULT '{}',
    created_real_ns INTEGER NOT NULL,
    CONSTRAINT model_version_is_unique UNIQUE (name, version),
    CONSTRAINT model_has_a_name CHECK (length(name) BETWEEN 1 AND 64),
    CONSTRAINT model_version_counts_from_one CHECK (version >= 1),
    CONSTRAINT model_has_a_provider CHECK (length(provider) BETWEEN 1 AND 64),
    CONSTRAINT model_status_is_known CHECK (status IN ('draft', 'active', 'retired')),
    CONSTRAINT model_artifact_is_a_digest CHECK (artifact_sha256 IS NULL OR length(artifact_sha256) = 64)
) STRICT;

CREATE UNIQUE INDEX model_registry_active ON model_registry (name) WHERE status = 'active';

CREATE TABLE user_settings (
    user_id            INTEGER PRIMARY KEY REFERENCES users (id),
    exchange           TEXT NOT NULL DEFAULT 'internal',
    account_type       TEXT NOT NULL DEFAULT 'demo',
    strategy           TEXT NOT NULL DEFAULT '',
    trading_enabled    INTEGER NOT NULL DEFAULT 0,
    leverage           INTEGER NOT NULL DEFAULT 1,
    positions_max      INTEGER NOT NULL DEFAULT 10,
    risk_per_trade_bp  INTEGER NOT NULL DEFAULT 100,
    daily_loss_max_bp  INTEGER NOT NULL DEFAULT 500,
    take_profit_bp     INTEGER NOT NULL DEFAULT 0,
    stop_loss_bp       INTEGER NOT NULL DEFAULT 0,
    notify             TEXT NOT NULL DEFAULT 'critical',
    extra              TEXT NOT NULL DEFAULT '{}',
    version            INTEGER NOT NULL DEFAULT 1,
    updated_real_ns    INTEGER NOT NULL,
    CONSTRAINT settings_exchange_is_named CHECK (length(exchange) BETWEEN 1 AND 32),
    CONSTRAINT settings_account_type_is_known CHECK (account_type IN ('demo', 'real')),
    CONSTRAINT settings_strategy_is_short CHECK (length(strategy) <= 64),
    CONSTRAINT settings_trading_is_on_or_off CHECK (trading_enabled IN (0, 1)),
    CONSTRAINT settings_leverage_is_bounded CHECK (leverage BETWEEN 1 AND 125),
    CONSTRAINT settings_positions_are_bounded CHECK (positions_max BETWEEN 1 AND 1000),
    CONSTRAINT settings_risk_is_a_share CHECK (risk_per_trade_bp BETWEEN 1 AND 10000),
    CONSTRAINT settings_loss_covers_one_trade CHECK (daily_loss_max_bp BETWEEN risk_per_trade_bp AND 10000),
    CONSTRAINT settings_take_profit_is_bounded CHECK (take_profit_bp BETWEEN 0 AND 1000000),
    CONSTRAINT settings_stop_loss_is_a_share CHECK (stop_loss_bp BETWEEN 0 AND 10000),
    CONSTRAINT settings_notify_is_known CHECK (notify IN ('none', 'critical', 'warning', 'all')),
    CONSTRAINT settings_extra_is_bounded CHECK (length(extra) BETWEEN 2 AND 16384),
    CONSTRAINT settings_version_counts_from_one CHECK (version >= 1)
) STRICT;

-- A lifetime licence ends at 9223372036854775807.
CREATE TABLE user_licenses (
    id              INTEGER PRIMARY KEY,
    user_id         INTEGER NOT NULL REFERENCES users (id),
    license_type    TEXT NOT NULL,
    is_active       INTEGER NOT NULL DEFAULT 1,
    source          TEXT NOT NULL,
    start_real_ns   INTEGER NOT NULL,
    end_real_ns     INTEGER NOT NULL,
    created_real_ns INTEGER NOT NULL,
    CONSTRAINT license_type_is_known
        CHECK (license_type IN ('trial', 'basic', 'professional', 'enterprise')),
    CONSTRAINT license_is_active_or_not CHECK (is_active IN (0, 1)),
    CONSTRAINT license_source_is_known CHECK (source IN ('grant', 'promo', 'payment')),
    CONSTRAINT license_ends_after_its_start CHECK (start_real_ns >= 0 AND end_real_ns > start_real_ns)
) STRICT;

CREATE UNIQUE INDEX user_licenses_one_active ON user_licenses (user_id, license_type) WHERE is_active = 1;
CREATE INDEX user_licenses_end ON user_licenses (end_real_ns DESC);
CREATE INDEX user_licenses_user_type ON user_licenses (user_id, license_type, end_real_ns DESC);
CREATE INDEX user_licenses_active_user ON user_licenses (is_active, user_id, license_type, end_real_ns);

CREATE TABLE promo_codes (
    id                 INTEGER PRIMARY KEY,
    code               TEXT NOT NULL,
    license_type       TEXT NOT NULL,
    duration_days      INTEGER NOT NULL,
    uses_max           INTEGER NOT NULL,
    uses               INTEGER NOT NULL DEFAULT 0,
    is_active          INTEGER NOT NULL DEFAULT 1,
    valid_from_real_ns  INTEGER NOT NULL,
    valid_until_real_ns INTEGER NOT NULL,
    created_real_ns    INTEGER NOT NULL,
    CONSTRAINT promo_code_is_unique UNIQUE (code),
    CONSTRAINT promo_code_is_upper_case CHECK (length(code) BETWEEN 4 AND 64 AND code = upper(code)),
    CONSTRAINT promo_license_is_known
        CHECK (license_type IN ('trial', 'basic', 'professional', 'enterprise')),
    CONSTRAINT promo_duration_is_bounded CHECK (duration_days BETWEEN 1 AND 3660),
    CONSTRAINT promo_has_uses CHECK (uses_max BETWEEN 1 AND 1000000),
    CONSTRAINT promo_is_not_overused CHECK (uses BETWEEN 0 AND uses_max),
    CONSTRAINT promo_is_active_or_not CHECK (is_active IN (0, 1)),
    CONSTRAINT promo_window_is_not_empty
        CHECK (valid_from_real_ns >= 0 AND valid_until_real_ns > valid_from_real_ns)
) STRICT;

CREATE INDEX promo_codes_active_until ON promo_codes (is_active, valid_until_real_ns);
CREATE INDEX promo_codes_license_active ON promo_codes (license_type, is_active);

CREATE TABLE promo_redemptions (
    id               INTEGER PRIMARY KEY,
    promo_id         INTEGER NOT NULL REFERENCES promo_codes (id),
    user_id          INTEGER NOT NULL REFERENCES users (id),
    license_id       INTEGER NOT NULL REFERENCES user_licenses (id),
    redeemed_real_ns INTEGER NOT NULL,
    CONSTRAINT promo_is_redeemed_once_per_user UNIQUE (promo_id, user_id),
    CONSTRAINT redemption_has_a_time CHECK (redeemed_real_ns >= 0)
) STRICT;

CREATE INDEX promo_redemptions_user ON promo_redemptions (user_id, redeemed_real_ns DESC);

-- `idempotency_key` is the caller's: the same key books once, whatever is retried.
CREATE TABLE payments (
    id                 INTEGER PRIMARY KEY,
    user_id            INTEGER NOT NULL REFERENCES users (id),
    idempotency_key    TEXT NOT NULL,
    kind               TEXT NOT NULL,
    provider           TEXT NOT NULL,
    provider_reference TEXT NOT NULL DEFAULT '',
    currency           TEXT NOT NULL,
    amount             INTEGER NOT NULL,
    amount_scale       INTEGER NOT NULL,
    status             TEXT NOT NULL DEFAULT 'pending',
    license_id         INTEGER REFERENCES user_licenses (id),
    created_real_ns    INTEGER NOT NULL,
    booked_real_ns     INTEGER,
    request_sha256     TEXT,
    CONSTRAINT payment_is_booked_once UNIQUE (user_id, idempotency_key),
    CONSTRAINT payment_key_is_bounded CHECK (length(idempotency_key) BETWEEN 1 AND 64),
    CONSTRAINT payment_kind_is_known CHECK (kind IN ('license', 'deposit', 'fee', 'refund')),
    CONSTRAINT payment_has_a_provider CHECK (length(provider) BETWEEN 1 AND 32),
    CONSTRAINT payment_reference_is_short CHECK (length(provider_reference) <= 128),
    CONSTRAINT payment_currency_is_a_code CHECK (length(currency) BETWEEN 3 AND 12 AND currency = upper(currency)),
    CONSTRAINT payment_is_positive CHECK (amount > 0),
    CONSTRAINT payment_scale_is_bounded CHECK (amount_scale BETWEEN 0 AND 8),
    CONSTRAINT payment_status_is_known CHECK (status IN ('pending', 'booked', 'failed', 'refunded')),
    CONSTRAINT payment_is_booked_with_its_time
        CHECK ((status IN ('booked', 'refunded')) = (booked_real_ns IS NOT NULL)),
    CONSTRAINT payment_with_a_licence_is_for_it CHECK (license_id IS NULL OR kind = 'license'),
    CONSTRAINT payment_request_is_a_digest CHECK (request_sha256 IS NULL OR length(request_sha256) = 64)
) STRICT;

CREATE INDEX payments_user_time ON payments (user_id, created_real_ns DESC);
CREATE UNIQUE INDEX payments_provider_reference ON payments (provider, provider_reference)
    WHERE provider_reference <> '';
CREATE INDEX payments_pending ON payments (created_real_ns) WHERE status = 'pending';

-- Limit orders of strategies that wait for their price or their venue; gone when placed.
CREATE TABLE pending_limit_orders (
    id              INTEGER PRIMARY KEY,
    user_id         INTEGER NOT NULL REFERENCES users (id),
    exchange        TEXT NOT NULL,
    account_type    TEXT NOT NULL,
    instrument      INTEGER NOT NULL REFERENCES instruments (id),
    strategy        TEXT NOT NULL DEFAULT '',
    side            INTEGER NOT NULL,
    price           INTEGER NOT NULL,
    quantity        INTEGER NOT NULL,
    client_id       TEXT NOT NULL,
    created_real_ns INTEGER NOT NULL,
    expires_real_ns INTEGER,
    CONSTRAINT pending_order_client_id_is_unique UNIQUE (user_id, client_id),
    CONSTRAINT pending_order_exchange_is_named CHECK (length(exchange) BETWEEN 1 AND 32),
    CONSTRAINT pending_order_account_type_is_known CHECK (account_type IN ('demo', 'real')),
    CONSTRAINT pending_order_side_is_known CHECK (side IN (0, 1)),
    CONSTRAINT pending_order_has_a_price CHECK (price > 0),
    CONSTRAINT pending_order_has_a_quantity CHECK (quantity > 0),
    CONSTRAINT pending_order_client_id_is_bounded CHECK (length(client_id) BETWEEN 1 AND 64),
    CONSTRAINT pending_order_expires_later
        CHECK (created_real_ns >= 0 AND (expires_real_ns IS NULL OR expires_real_ns > created_real_ns))
) STRICT;

CREATE INDEX pending_limit_orders_instrument ON pending_limit_orders (instrument);
CREATE INDEX pending_limit_orders_instrument_price ON pending_limit_orders (instrument, price);
CREATE INDEX pending_limit_orders_user_strategy ON pending_limit_orders (user_id, strategy);
CREATE INDEX pending_limit_orders_user_type ON pending_limit_orders (
    user_id, account_type, created_real_ns DESC, id, exchange, instrument, strategy, side, price, quantity, client_id);
CREATE INDEX pending_limit_orders_expiry ON pending_limit_orders (expires_real_ns)
    WHERE expires_real_ns IS NOT NULL;

CREATE TABLE signals (
    id              INTEGER PRIMARY KEY,
    instrument      INTEGER NOT NULL REFERENCES instruments (id),
    side            INTEGER NOT NULL,
    strategy        TEXT NOT NULL,
    source          TEXT NOT NULL,
    model_id        INTEGER REFERENCES model_registry (id),
    price           INTEGER NOT NULL,
    confidence_bp   INTEGER NOT NULL,
    time_real_ns    INTEGER NOT NULL,
    expires_real_ns INTEGER,
    CONSTRAINT signal_side_is_known CHECK (side IN (0, 1)),
    CONSTRAINT signal_has_a_strategy CHECK (length(strategy) BETWEEN 1 AND 64),
    CONSTRAINT signal_has_a_source CHECK (length(source) BETWEEN 1 AND 64),
    CONSTRAINT signal_has_a_price CHECK (price > 0),
    CONSTRAINT signal_confidence_is_a_share CHECK (confidence_bp BETWEEN 0 AND 10000),
    CONSTRAINT signal_expires_later
        CHECK (time_real_ns >= 0 AND (expires_real_ns IS NULL OR expires_real_ns > time_real_ns))
) STRICT;

CREATE INDEX signals_time ON signals (time_real_ns DESC, id DESC);
CREATE INDEX signals_instrument_side_time ON signals (instrument, side, time_real_ns DESC);
CREATE INDEX signals_instrument_price ON signals (instrument, price);
CREATE INDEX signals_instrument_time ON signals (
    instrument, time_real_ns DESC, id, side, strategy, price, confidence_bp);

-- What a strategy did from entry to exit; the fills behind it are in `trades`.
CREATE TABLE trade_logs (
    id             INTEGER PRIMARY KEY,
    user_id        INTEGER NOT NULL REFERENCES users (id),
    exchange       TEXT NOT NULL,
    account_type   TEXT NOT NULL,
    instrument     INTEGER NOT NULL REFERENCES instruments (id),
    strategy       TEXT NOT NULL DEFAULT '',
    signal_id      INTEGER REFERENCES signals (id),
    side           INTEGER NOT NULL,
    quantity       INTEGER NOT NULL,
    entry_price    INTEGER NOT NULL,
    exit_price     INTEGER,
    entry_real_ns  INTEGER NOT NULL,
    exit_real_ns   INTEGER,
    fees           INTEGER NOT NULL DEFAULT 0,
    pnl            INTEGER,
    exit_reason    TEXT,
    CONSTRAINT trade_log_exchange_is_named CHECK (length(exchange) BETWEEN 1 AND 32),
    CONSTRAINT trade_log_account_type_is_known CHECK (account_type IN ('demo', 'real')),
    CONSTRAINT trade_log_side_is_known CHECK (side IN (0, 1)),
    CONSTRAINT trade_log_has_a_quantity CHECK (quantity > 0),
    CONSTRAINT trade_log_has_prices CHECK (entry_price > 0 AND (exit_price IS NULL OR exit_price > 0)),
    CONSTRAINT trade_log_exits_after_entry
        CHECK (entry_real_ns >= 0 AND (exit_real_ns IS NULL OR exit_real_ns >= entry_real_ns)),
    CONSTRAINT trade_log_exit_is_whole CHECK (
        (exit_real_ns IS NULL) = (exit_price IS NULL) AND (exit_real_ns IS NULL) = (pnl IS NULL)
        AND (exit_real_ns IS NULL) = (exit_reason IS NULL)),
    CONSTRAINT trade_log_exit_reason_is_known CHECK (
        exit_reason IS NULL
        OR exit_reason IN ('take_profit', 'stop_loss', 'trailing_stop', 'signal', 'manual', 'liquidation'))
) STRICT;

CREATE INDEX trade_logs_user_instrument ON trade_logs (user_id, instrument, entry_real_ns DESC);
CREATE INDEX trade_logs_user_entry ON trade_logs (user_id, entry_real_ns DESC);
CREATE INDEX trade_logs_entry ON trade_logs (entry_real_ns DESC);
CREATE INDEX trade_logs_exit ON trade_logs (exit_real_ns DESC);
CREATE INDEX trade_logs_pnl ON trade_logs (pnl DESC);
CREATE INDEX trade_logs_open ON trade_logs (user_id, instrument) WHERE exit_real_ns IS NULL;

CREATE TABLE active_positions (
    id              INTEGER PRIMARY KEY,
    user_id         INTEGER NOT NULL REFERENCES users (id),
    exchange        TEXT NOT NULL,
    account_type    TEXT NOT NULL,
    instrument      INTEGER NOT NULL REFERENCES instruments (id),
    strategy        TEXT NOT NULL DEFAULT '',
    side            INTEGER NOT NULL,
    quantity        INTEGER NOT NULL,
    entry_price     INTEGER NOT NULL,
    take_profit     INTEGER,
    stop_loss       INTEGER,
    trailing_bp     INTEGER,
    opened_real_ns  INTEGER NOT NULL,
    updated_real_ns INTEGER NOT NULL,
    CONSTRAINT active_position_is_one
        UNIQUE (user_id, exchange, account_type, instrument, strategy, side),
    CONSTRAINT active_position_exchange_is_named CHECK (length(exchange) BETWEEN 1 AND 32),
    CONSTRAINT active_position_account_type_is_known CHECK (account_type IN ('demo', 'real')),
    CONSTRAINT active_position_side_is_known CHECK (side IN (0, 1)),
    CONSTRAINT active_position_has_a_quantity CHECK (quantity > 0),
    CONSTRAINT active_position_has_a_price CHECK (entry_price > 0),
    CONSTRAINT active_position_exits_are_prices
        CHECK ((take_profit IS NULL OR take_profit > 0) AND (stop_loss IS NULL OR stop_loss > 0)),
    CONSTRAINT active_position_profit_is_beyond_loss CHECK (
        take_profit IS NULL OR stop_loss IS NULL
        OR (side = 0 AND take_profit > stop_loss) OR (side = 1 AND take_profit < stop_loss)),
    CONSTRAINT active_position_trailing_is_a_share
        CHECK (trailing_bp IS NULL OR trailing_bp BETWEEN 1 AND 10000),
    CONSTRAINT active_position_is_updated_later
        CHECK (opened_real_ns >= 0 AND updated_real_ns >= opened_real_ns)
) STRICT;

CREATE INDEX active_positions_instrument ON active_positions (instrument);
CREATE INDEX active_positions_user_type ON active_positions (
    user_id, account_type, id, exchange, instrument, strategy, side, quantity, entry_price, take_profit, stop_loss);
CREATE INDEX active_positions_user_strategy ON active_positions (user_id, strategy);
CREATE INDEX active_positions_side_instrument ON active_positions (side, instrument);

-- What a user holds of an instrument over all strategies; below zero is short.
CREATE TABLE positions (
    user_id         INTEGER NOT NULL REFERENCES users (id),
    exchange        TEXT NOT NULL,
    account_type    TEXT NOT NULL,
    instrument      INTEGER NOT NULL REFERENCES instruments (id),
    quantity        INTEGER NOT NULL,
    entry_price     INTEGER NOT NULL,
    realised_pnl    INTEGER NOT NULL DEFAULT 0,
    fees            INTEGER NOT NULL DEFAULT 0,
    updated_real_ns INTEGER NOT NULL,
    PRIMARY KEY (user_id, exchange, account_type, instrument),
    CONSTRAINT position_exchange_is_named CHECK (length(exchange) BETWEEN 1 AND 32),
    CONSTRAINT position_account_type_is_known CHECK (account_type IN ('demo', 'real')),
    CONSTRAINT position_has_a_price_when_open CHECK (entry_price >= 0 AND (quantity = 0) = (entry_price = 0)),
    CONSTRAINT position_has_a_time CHECK (updated_real_ns >= 0)
) STRICT;

CREATE INDEX positions_user_instrument ON positions (user_id, instrument);
CREATE INDEX positions_open ON positions (instrument, user_id) WHERE quantity <> 0;

CREATE TABLE portfolios (
    id              INTEGER PRIMARY KEY,
    user_id         INTEGER NOT NULL REFERENCES users (id),
    name            TEXT NOT NULL,
    currency        TEXT NOT NULL,
    value_scale     INTEGER NOT NULL,
    initial_value   INTEGER NOT NULL,
    value           INTEGER NOT NULL,
    is_active       INTEGER NOT NULL DEFAULT 1,
    created_real_ns INTEGER NOT NULL,
    updated_real_ns INTEGER NOT NULL,
    CONSTRAINT portfolio_name_is_unique UNIQUE (user_id, name),
    CONSTRAINT portfolio_has_a_name CHECK (length(name) BETWEEN 1 AND 64),
    CONSTRAINT portfolio_currency_is_a_code CHECK (length(currency) BETWEEN 3 AND 12 AND currency = upper(currency)),
    CONSTRAINT portfolio_scale_is_bounded CHECK (value_scale BETWEEN 0 AND 8),
    CONSTRAINT portfolio_starts_with_something CHECK (initial_value > 0),
    CONSTRAINT portfolio_is_active_or_not CHECK (is_active IN (0, 1)),
    CONSTRAINT portfolio_is_updated_later
        CHECK (created_real_ns >= 0 AND updated_real_ns >= created_real_ns)
) STRICT;

CREATE INDEX portfolios_user_active ON portfolios (user_id, is_active);

CREATE TABLE predictions (
    id               INTEGER PRIMARY KEY,
    model_id         INTEGER NOT NULL REFERENCES model_registry (id),
    instrument       INTEGER NOT NULL REFERENCES instruments (id),
    side             INTEGER NOT NULL,
    price            INTEGER NOT NULL,
    confidence_bp    INTEGER NOT NULL,
    made_real_ns     INTEGER NOT NULL,
    due_real_ns      INTEGER NOT NULL,
    outcome_price    INTEGER,
    resolved_real_ns INTEGER,
    CONSTRAINT prediction_is_made_once UNIQUE (model_id, instrument, made_real_ns, due_real_ns),
    CONSTRAINT prediction_side_is_known CHECK (side IN (0, 1)),
    CONSTRAINT prediction_has_a_price CHECK (price > 0),
    CONSTRAINT prediction_confidence_is_a_share CHECK (confidence_bp BETWEEN 0 AND 10000),
    CONSTRAINT prediction_looks_ahead CHECK (made_real_ns >= 0 AND due_real_ns > made_real_ns),
    CONSTRAINT prediction_outcome_is_whole CHECK (
        (outcome_price IS NULL) = (resolved_real_ns IS NULL)
        AND (outcome_price IS NULL OR outcome_price > 0)),
    CONSTRAINT prediction_is_resolved_when_due
        CHECK (resolved_real_ns IS NULL OR resolved_real_ns >= due_real_ns)
) STRICT;

CREATE INDEX predictions_made ON predictions (made_real_ns DESC, id DESC);
CREATE INDEX predictions_instrument_made ON predictions (instrument, made_real_ns DESC);
CREATE INDEX predictions_unresolved ON predictions (due_real_ns) WHERE resolved_real_ns IS NULL;

-- `symbol` is what the news is about, an asset or an instrument of any market; '' is the market.
CREATE TABLE news_items (
    id                INTEGER PRIMARY KEY,
    source            TEXT NOT NULL,
    external_id       TEXT NOT NULL,
    symbol            TEXT NOT NULL DEFAULT '',
    title             TEXT NOT NULL,
    summary           TEXT NOT NULL DEFAULT '',
    url               TEXT NOT NULL DEFAULT '',
    sentiment_score   INTEGER NOT NULL DEFAULT 0,
    published_real_ns INTEGER NOT NULL,
    fetched_real_ns   INTEGER NOT NULL,
    CONSTRAINT news_is_kept_once UNIQUE (source, external_id),
    CONSTRAINT news_has_a_source CHECK (length(source) BETWEEN 1 AND 64),
    CONSTRAINT news_external_id_is_bounded CHECK (length(external_id) BETWEEN 1 AND 256),
    CONSTRAINT news_symbol_is_short CHECK (length(symbol) <= 32),
    CONSTRAINT news_has_a_title CHECK (length(title) BETWEEN 1 AND 512),
    CONSTRAINT news_summary_is_bounded CHECK (length(summary) <= 16384),
    CONSTRAINT news_url_is_bounded CHECK (length(url) <= 2048),
    CONSTRAINT news_sentiment_is_between_bad_and_good CHECK (sentiment_score BETWEEN -10000 AND 10000),
    CONSTRAINT news_has_times CHECK (published_real_ns >= 0 AND fetched_real_ns >= 0)
) STRICT;

CREATE INDEX news_items_symbol_sentiment ON news_items (symbol, sentiment_score);
CREATE INDEX news_items_published ON news_items (published_real_ns DESC);
CREATE INDEX news_items_symbol_published ON news_items (symbol, published_real_ns DESC);

CREATE TABLE alerts (
    id               INTEGER PRIMARY KEY,
    name             TEXT NOT NULL,
    component        TEXT NOT NULL,
    level            TEXT NOT NULL,
    message          TEXT NOT NULL,
    raised_real_ns   INTEGER NOT NULL,
    resolved_real_ns INTEGER,
    CONSTRAINT alert_has_a_name CHECK (length(name) BETWEEN 1 AND 64),
    CONSTRAINT alert_has_a_component CHECK (length(component) BETWEEN 1 AND 64),
    CONSTRAINT alert_level_is_known CHECK (level IN ('warning', 'critical')),
    CONSTRAINT alert_message_is_bounded CHECK (length(message) BETWEEN 1 AND 2048),
    CONSTRAINT alert_is_resolved_later
        CHECK (raised_real_ns >= 0 AND (resolved_real_ns IS NULL OR resolved_real_ns >= raised_real_ns))
) STRICT;

CREATE UNIQUE INDEX alerts_open ON alerts (name, component, level) WHERE resolved_real_ns IS NULL;
CREATE INDEX alerts_raised ON alerts (raised_real_ns DESC);

CREATE TABLE jobs (
    id                INTEGER PRIMARY KEY,
    queue             TEXT NOT NULL,
    kind              TEXT NOT NULL,
    idempotency_key   TEXT NOT NULL,
    payload           TEXT NOT NULL DEFAULT '{}',
    status            TEXT NOT NULL DEFAULT 'queued',
    attempts          INTEGER NOT NULL DEFAULT 0,
    attempts_max      INTEGER NOT NULL DEFAULT 5,
    due_real_ns       INTEGER NOT NULL,
    owner             TEXT,
    owned_until_real_ns INTEGER,
    last_error        TEXT NOT NULL DEFAULT '',
    created_real_ns   INTEGER NOT NULL,
    updated_real_ns   INTEGER NOT NULL,
    CONSTRAINT job_is_queued_once UNIQUE (queue, idempotency_key),
    CONSTRAINT job_has_a_queue CHECK (length(queue) BETWEEN 1 AND 64),
    CONSTRAINT job_has_a_kind CHECK (length(kind) BETWEEN 1 AND 64),
    CONSTRAINT job_key_is_bounded CHECK (length(idempotency_key) BETWEEN 1 AND 128),
    CONSTRAINT job_status_is_known CHECK (status IN ('queued', 'running', 'done', 'dead')),
    CONSTRAINT job_attempts_are_bounded
        CHECK (attempts_max BETWEEN 1 AND 100 AND attempts BETWEEN 0 AND attempts_max),
    CONSTRAINT job_runs_with_an_owner CHECK (
        (status = 'running') = (owner IS NOT NULL) AND (owner IS NULL) = (owned_until_real_ns IS NULL)),
    CONSTRAINT job_is_updated_later CHECK (created_real_ns >= 0 AND updated_real_ns >= created_real_ns)
) STRICT;

CREATE INDEX jobs_due ON jobs (queue, due_real_ns, id) WHERE status = 'queued';
CREATE INDEX jobs_owned ON jobs (owned_until_real_ns) WHERE status = 'running';
CREATE INDEX jobs_dead ON jobs (queue, updated_real_ns DESC) WHERE status = 'dead';

-- Append only; each hash covers the row and the hash before, so a changed or missing row shows.
CREATE TABLE audit_log (
    sequence      INTEGER PRIMARY KEY,
    time_real_ns  INTEGER NOT NULL,
    actor         TEXT NOT NULL,
    action        TEXT NOT NULL,
    target        TEXT NOT NULL DEFAULT '',
    detail        TEXT NOT NULL DEFAULT '',
    previous_hash TEXT NOT NULL,
    hash          TEXT NOT NULL,
    CONSTRAINT audit_hash_is_unique UNIQUE (hash),
    CONSTRAINT audit_counts_from_one CHECK (sequence >= 1),
    CONSTRAINT audit_has_an_actor CHECK (length(actor) BETWEEN 1 AND 64),
    CONSTRAINT audit_has_an_action CHECK (length(action) BETWEEN 1 AND 64),
    CONSTRAINT audit_hashes_are_digests CHECK (length(previous_hash) = 64 AND length(hash) = 64),
    CONSTRAINT audit_has_a_time CHECK (time_real_ns >= 0)
) STRICT;

CREATE INDEX audit_log_actor_time ON audit_log (actor, time_real_ns DESC);
CREATE INDEX audit_log_target ON audit_log (target, sequence) WHERE target <> '';

CREATE TABLE candles (
    instrument   INTEGER NOT NULL REFERENCES instruments (id),
    interval_s   INTEGER NOT NULL,
    open_real_ns INTEGER NOT NULL,
    open         INTEGER NOT NULL,
    high         INTEGER NOT NULL,
    low          INTEGER NOT NULL,
    close        INTEGER NOT NULL,
    volume       INTEGER NOT NULL,
    quote_volume INTEGER NOT NULL,
    trades       INTEGER NOT NULL,
    PRIMARY KEY (instrument, interval_s, open_real_ns),
    CONSTRAINT candle_interval_is_known
        CHECK (interval_s IN (1, 60, 180, 300, 900, 1800, 3600, 7200, 14400, 21600, 28800, 43200, 86400, 259200, 604800)),
    CONSTRAINT candle_starts_on_its_second
        CHECK (open_real_ns >= 0 AND open_real_ns % 1000000000 = 0),
    CONSTRAINT candle_prices_are_in_order
        CHECK (low > 0 AND low <= open AND low <= close AND high >= open AND high >= close),
    CONSTRAINT candle_volume_is_counted CHECK (volume >= 0 AND quote_volume >= 0 AND trades >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX candles_time ON candles (open_real_ns);
