CREATE TABLE "consumer_run" (
	"consumer" text NOT NULL,
	"instance" uuid NOT NULL,
	"started_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"heartbeat_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"marked_message_id" uuid,
	CONSTRAINT "consumer_run_consumer_instance_pk" PRIMARY KEY("consumer","instance")
);
--> statement-breakpoint
CREATE TABLE "parked_message" (
	"consumer" text NOT NULL,
	"message_id" uuid NOT NULL,
	"id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "parked_message_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"key" text NOT NULL,
	"type" text,
	"transport" text NOT NULL,
	"position" text NOT NULL,
	"headers" json NOT NULL,
	"body" "bytea" NOT NULL,
	"status" text NOT NULL,
	"attempts" integer NOT NULL,
	"next_attempt_at" timestamp with time zone NOT NULL,
	"reason" text,
	"error_code" text,
	"error_message" text,
	"error_stack" text,
	"first_failed_at" timestamp with time zone,
	"last_failed_at" timestamp with time zone,
	"dead_lettered_at" timestamp with time zone,
	"redrive_id" uuid,
	"parked_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "parked_message_message_id_consumer_pk" PRIMARY KEY("message_id","consumer"),
	CONSTRAINT "parked_message_status" CHECK (status in ('retrying', 'waiting', 'dead'))
);
--> statement-breakpoint
CREATE INDEX "parked_message_due" ON "parked_message" USING btree ("next_attempt_at","consumer") WHERE status <> 'dead';--> statement-breakpoint
CREATE INDEX "parked_message_key" ON "parked_message" USING btree ("key","consumer","id");--> statement-breakpoint
grant select, insert, update, delete on parked_message, consumer_run to inventory_service;
