-- tenon: destructive=true
DROP TABLE public_trades;
