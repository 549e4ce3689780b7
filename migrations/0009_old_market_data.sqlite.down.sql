-- tenon: destructive=true
DROP TABLE old_candles;
DROP TABLE old_trades;
DROP TABLE known_history;
