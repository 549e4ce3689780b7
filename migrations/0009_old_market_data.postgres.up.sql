-- Market data of before this server listened, as the exchange told it when somebody asked.
-- tenon: phase=expand
--
-- known_history says which stretches are complete, in trade ids (kind 1) or nanoseconds (2: aggregate
-- trades, 3: candles); unit is the candles' interval, else 0. Both ends belong to the stretch.

CREATE TABLE known_history (
    instrument bigint NOT NULL REFERENCES instruments (id),
    kind       bigint NOT NULL,
    unit       bigint NOT NULL,
    first_at   bigint NOT NULL,
    last_at    bigint NOT NULL,
    PRIMARY KEY (instrument, kind, unit, first_at),
    CONSTRAINT known_history_is_of_a_kind CHECK (kind BETWEEN 1 AND 3 AND unit BETWEEN 0 AND 15),
    CONSTRAINT known_history_has_two_ends CHECK (first_at >= 0 AND last_at >= first_at)
);

CREATE TABLE old_trades (
    instrument     bigint NOT NULL REFERENCES instruments (id),
    kind           bigint NOT NULL,
    last_trade_id  bigint NOT NULL,
    first_trade_id bigint NOT NULL,
    time_real_ns   bigint NOT NULL,
    price          bigint NOT NULL,
    quantity       bigint NOT NULL,
    quote_amount   bigint NOT NULL,
    buyer_is_maker bigint NOT NULL,
    PRIMARY KEY (instrument, kind, last_trade_id),
    CONSTRAINT old_trade_is_of_a_kind CHECK (kind IN (1, 2)),
    CONSTRAINT old_trade_has_ids CHECK (first_trade_id >= 0 AND last_trade_id >= first_trade_id),
    CONSTRAINT old_trade_has_a_time CHECK (time_real_ns >= 0),
    CONSTRAINT old_trade_is_of_something CHECK (price > 0 AND quantity >= 0 AND quote_amount >= 0),
    CONSTRAINT old_trade_has_a_maker CHECK (buyer_is_maker IN (0, 1))
);

CREATE INDEX old_trades_time ON old_trades (instrument, kind, time_real_ns);

CREATE TABLE old_candles (
    instrument             bigint NOT NULL REFERENCES instruments (id),
    unit                   bigint NOT NULL,
    open_real_ns           bigint NOT NULL,
    close_real_ns          bigint NOT NULL,
    open                   bigint NOT NULL,
    high                   bigint NOT NULL,
    low                    bigint NOT NULL,
    close                  bigint NOT NULL,
    volume                 bigint NOT NULL,
    quote_volume           bigint NOT NULL,
    trades                 bigint NOT NULL,
    taker_buy_volume       bigint NOT NULL,
    taker_buy_quote_volume bigint NOT NULL,
    PRIMARY KEY (instrument, unit, open_real_ns),
    CONSTRAINT old_candle_has_an_interval CHECK (unit BETWEEN 0 AND 15),
    CONSTRAINT old_candle_has_times CHECK (open_real_ns >= 0 AND close_real_ns > open_real_ns),
    CONSTRAINT old_candle_has_prices CHECK (low >= 0 AND low <= open AND low <= close AND high >= open AND high >= close),
    CONSTRAINT old_candle_counts CHECK (volume >= 0 AND quote_volume >= 0 AND trades >= 0
        AND taker_buy_volume >= 0 AND taker_buy_quote_volume >= 0)
);
