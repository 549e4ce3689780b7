-- tenon: destructive=true
ALTER TABLE candles DROP COLUMN last_trade_id;
ALTER TABLE candles DROP COLUMN first_trade_id;
ALTER TABLE candles DROP COLUMN taker_buy_quote_volume;
ALTER TABLE candles DROP COLUMN taker_buy_volume;
