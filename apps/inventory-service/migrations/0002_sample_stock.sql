-- The sample catalogue of order-service has something to sell. Received like everything else, so that the books balance.
insert into stock_receipts (receipt_id, sku, quantity) values
  ('01980000-0000-7000-8000-000000000001', 'espresso-cup', 10000),
  ('01980000-0000-7000-8000-000000000002', 'moka-pot', 10000),
  ('01980000-0000-7000-8000-000000000003', 'coffee-beans-1kg', 10000);
--> statement-breakpoint
insert into stock (sku, on_hand) select sku, quantity from stock_receipts;
