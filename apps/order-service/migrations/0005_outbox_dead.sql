CREATE TABLE "outbox_dead" (
	"transport" text NOT NULL,
	"id" bigint NOT NULL,
	"message_id" uuid NOT NULL,
	"destination" text NOT NULL,
	"key" text NOT NULL,
	"type" text NOT NULL,
	"payload" json NOT NULL,
	"headers" json NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"status" text NOT NULL,
	"error_code" text,
	"error_message" text,
	"moved_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "outbox_dead_transport_id_pk" PRIMARY KEY("transport","id"),
	CONSTRAINT "outbox_dead_status" CHECK ("outbox_dead"."status" in ('dead', 'waiting'))
);
--> statement-breakpoint
CREATE INDEX "outbox_dead_key" ON "outbox_dead" USING btree ("transport","destination","key","id");
--> statement-breakpoint
grant select on outbox_dead to order_service;
--> statement-breakpoint
grant select, insert, update, delete on outbox_dead to relay;
