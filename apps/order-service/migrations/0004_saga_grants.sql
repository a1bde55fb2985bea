grant select, insert, update on saga to order_service;
--> statement-breakpoint
-- What was decided, and what a person did, stays as it was. A saga is never deleted when it ends: its answers may come days later.
grant select, insert on saga_log, saga_intervention to order_service;
--> statement-breakpoint
-- A row is updated at every step: room on its page, and vacuum by count and not by share of the table.
alter table saga set (
  fillfactor = 80,
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000
);
