-- So that a new installation can sell something. Operators change it with PUT /products/:sku.
insert into products (sku, name, unit_price_minor, currency) values
  ('espresso-cup', 'Espresso cup', 1200, 'EUR'),
  ('moka-pot', 'Moka pot', 3900, 'EUR'),
  ('coffee-beans-1kg', 'Coffee beans, 1 kg', 1850, 'EUR');
