CREATE TABLE "consumer_run" (
	"consumer" text NOT NULL,
	"instance" uuid NOT NULL,
	"started_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"heartbeat_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"marked_message_ids" uuid[],
	CONSTRAINT "consumer_run_consumer_instance_pk" PRIMARY KEY("consumer","instance")
);
--> statement-breakpoint
CREATE TABLE "inbox" (
	"message_id" uuid NOT NULL,
	"consumer" text NOT NULL,
	CONSTRAINT "inbox_message_id_consumer_pk" PRIMARY KEY("message_id","consumer")
) PARTITION BY RANGE ("message_id");
--> statement-breakpoint
CREATE TABLE "outbox" (
	"transport" text NOT NULL,
	"id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "outbox_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"message_id" uuid NOT NULL,
	"destination" text NOT NULL,
	"key" text NOT NULL,
	"type" text NOT NULL,
	"payload" json NOT NULL,
	"headers" json NOT NULL,
	"created_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "outbox_transport_id_pk" PRIMARY KEY("transport","id")
);
--> statement-breakpoint
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
CREATE TABLE "outbox_lease" (
	"transport" text PRIMARY KEY NOT NULL,
	"owner" text NOT NULL,
	"epoch" bigint NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
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
CREATE TABLE "tallies" (
	"minute" timestamp with time zone NOT NULL,
	"kind" text NOT NULL,
	"label" text NOT NULL,
	"orders" bigint NOT NULL,
	"amount_minor" bigint NOT NULL,
	CONSTRAINT "tallies_minute_kind_label_pk" PRIMARY KEY("minute","kind","label"),
	CONSTRAINT "tallies_kind" CHECK ("tallies"."kind" in ('placed', 'confirmed', 'cancelled')),
	CONSTRAINT "tallies_amount" CHECK ("tallies"."amount_minor" between 0 and 9007199254740991)
);
--> statement-breakpoint
CREATE INDEX "outbox_dead_key" ON "outbox_dead" USING btree ("transport","destination","key","id");--> statement-breakpoint
CREATE INDEX "parked_message_due" ON "parked_message" USING btree ("next_attempt_at","consumer") WHERE status <> 'dead';--> statement-breakpoint
CREATE INDEX "parked_message_key" ON "parked_message" USING btree ("key","consumer","id");