-- tenon: destructive=true
ALTER TABLE orders DROP COLUMN list_id;
DROP TABLE order_list_orders;
DROP TABLE order_lists;
