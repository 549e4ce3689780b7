-- tenon: destructive=true
DROP TABLE exchange_credentials;
