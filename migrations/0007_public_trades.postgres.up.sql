-- The newest public trades of each instrument: what clients page through by id, over a restart too.
-- tenon: phase=expand
--
-- agg_id is the aggregate trade that the trade is part of; 0 when that is not known.

CREATE TABLE public_trades (
    instrument     bigint NOT NULL REFERENCES instruments (id),
    trade_id       bigint NOT NULL,
    agg_id         bigint NOT NULL,
    time_real_ns   bigint NOT NULL,
    price          bigint NOT NULL,
    quantity       bigint NOT NULL,
    quote_amount   bigint NOT NULL,
    buyer_is_maker bigint NOT NULL,
    PRIMARY KEY (instrument, trade_id),
    CONSTRAINT public_trade_has_an_id CHECK (trade_id > 0 AND agg_id >= 0),
    CONSTRAINT public_trade_has_a_time CHECK (time_real_ns >= 0),
    CONSTRAINT public_trade_is_of_something CHECK (price > 0 AND quantity > 0 AND quote_amount >= 0),
    CONSTRAINT public_trade_has_a_maker CHECK (buyer_is_maker IN (0, 1))
);
