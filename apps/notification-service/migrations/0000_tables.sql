CREATE TABLE "consumer_run" (
	"consumer" text NOT NULL,
	"instance" uuid NOT NULL,
	"started_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"heartbeat_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"marked_message_id" uuid,
	CONSTRAINT "consumer_run_consumer_instance_pk" PRIMARY KEY("consumer","instance")
);
--> statement-breakpoint
CREATE TABLE "inbox" (
	"message_id" uuid NOT NULL,
	"consumer" text NOT NULL,
	CONSTRAINT "inbox_message_id_consumer_pk" PRIMARY KEY("message_id","consumer")
) PARTITION BY RANGE ("message_id");
--> statement-breakpoint
CREATE TABLE "notifications" (
	"id" uuid PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"order_id" uuid,
	"recipient" text NOT NULL,
	"content" json NOT NULL,
	"status" text NOT NULL,
	"due_at" timestamp with time zone NOT NULL,
	"queued_at" timestamp with time zone,
	"round" integer DEFAULT 0 NOT NULL,
	"lease_owner" uuid,
	"lease_until" timestamp with time zone,
	"attempts" integer DEFAULT 0 NOT NULL,
	"error_code" text,
	"error_message" text,
	"first_failed_at" timestamp with time zone,
	"last_failed_at" timestamp with time zone,
	"sent_at" timestamp with time zone,
	"smtp_response" text,
	"is_dead_lettered" boolean DEFAULT false NOT NULL,
	"redrive_id" uuid,
	"causation_id" uuid,
	"coordination" text,
	"traceparent" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "notifications_kind" CHECK ("notifications"."kind" in ('confirmation', 'cancellation', 'review-request', 'digest')),
	CONSTRAINT "notifications_status" CHECK ("notifications"."status" in ('pending', 'sent', 'cancelled', 'dead')),
	CONSTRAINT "notifications_sent" CHECK (("notifications"."status" = 'sent') = ("notifications"."sent_at" is not null))
);
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
CREATE UNIQUE INDEX "notifications_order" ON "notifications" USING btree ("order_id","kind");--> statement-breakpoint
CREATE INDEX "notifications_to_add" ON "notifications" USING btree ("due_at") WHERE "notifications"."status" = 'pending' and "notifications"."queued_at" is null;--> statement-breakpoint
CREATE INDEX "notifications_to_remove" ON "notifications" USING btree ("queued_at") WHERE "notifications"."status" = 'cancelled' and "notifications"."queued_at" is not null;--> statement-breakpoint
CREATE INDEX "notifications_pending" ON "notifications" USING btree ("due_at") WHERE "notifications"."status" = 'pending';--> statement-breakpoint
CREATE INDEX "notifications_created" ON "notifications" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "outbox_dead_key" ON "outbox_dead" USING btree ("transport","destination","key","id");--> statement-breakpoint
CREATE INDEX "parked_message_due" ON "parked_message" USING btree ("next_attempt_at","consumer") WHERE status <> 'dead';--> statement-breakpoint
CREATE INDEX "parked_message_key" ON "parked_message" USING btree ("key","consumer","id");