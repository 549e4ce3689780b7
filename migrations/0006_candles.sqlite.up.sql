-- What a candle of Binance's API has besides prices and volumes.
-- tenon: phase=expand

ALTER TABLE candles ADD COLUMN taker_buy_volume INTEGER NOT NULL DEFAULT 0
    CONSTRAINT candle_taker_volume_is_counted CHECK (taker_buy_volume >= 0);
ALTER TABLE candles ADD COLUMN taker_buy_quote_volume INTEGER NOT NULL DEFAULT 0
    CONSTRAINT candle_taker_quote_volume_is_counted CHECK (taker_buy_quote_volume >= 0);
ALTER TABLE candles ADD COLUMN first_trade_id INTEGER NOT NULL DEFAULT 0
    CONSTRAINT candle_first_trade_is_known CHECK (first_trade_id >= 0);
ALTER TABLE candles ADD COLUMN last_trade_id INTEGER NOT NULL DEFAULT 0
    CONSTRAINT candle_last_trade_is_known CHECK (last_trade_id >= 0);
