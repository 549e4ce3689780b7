-- The newest public trades of each instrument: what clients page through by id, over a restart too.
-- tenon: phase=expand
--
-- agg_id is the aggregate trade that the trade is part of; 0 when that is not known.

CREATE TABLE public_trades (
    instrument     INTEGER NOT NULL REFERENCES instruments (id),
    trade_id       INTEGER NOT NULL,
    agg_id         INTEGER NOT NULL,
    time_real_ns   INTEGER NOT NULL,
    price          INTEGER NOT NULL,
    quantity       INTEGER NOT NULL,
    quote_amount   INTEGER NOT NULL,
    buyer_is_maker INTEGER NOT NULL,
    PRIMARY KEY (instrument, trade_id),
    CONSTRAINT public_trade_has_an_id CHECK (trade_id > 0 AND agg_id >= 0),
    CONSTRAINT public_trade_has_a_time CHECK (time_real_ns >= 0),
    CONSTRAINT public_trade_is_of_something CHECK (price > 0 AND quantity > 0 AND quote_amount >= 0),
    CONSTRAINT public_trade_has_a_maker CHECK (buyer_is_maker IN (0, 1))
) STRICT, WITHOUT ROWID;
