-- tenon: destructive=true
DROP TABLE console_user_accounts;
DROP TABLE console_users;
