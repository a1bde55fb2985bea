CREATE TABLE "audit_entries" (
	"audit_id" uuid PRIMARY KEY NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"by" text NOT NULL,
	"action" text NOT NULL,
	"letter_id" uuid,
	"group_id" uuid,
	"redrive_id" uuid,
	"why" text,
	"before" json,
	"after" json
);
--> statement-breakpoint
CREATE TABLE "early_resolutions" (
	"consumer" text NOT NULL,
	"message_id" uuid NOT NULL,
	"outcome" text NOT NULL,
	"fact_at" timestamp with time zone NOT NULL,
	CONSTRAINT "early_resolutions_consumer_message_id_pk" PRIMARY KEY("consumer","message_id")
);
--> statement-breakpoint
CREATE TABLE "inbox" (
	"message_id" uuid NOT NULL,
	"consumer" text NOT NULL,
	CONSTRAINT "inbox_message_id_consumer_pk" PRIMARY KEY("message_id","consumer")
) PARTITION BY RANGE ("message_id");
--> statement-breakpoint
CREATE TABLE "letter_groups" (
	"group_id" uuid PRIMARY KEY NOT NULL,
	"fingerprint" text NOT NULL,
	"consumer" text NOT NULL,
	"type" text,
	"reason" text NOT NULL,
	"error_code" text NOT NULL,
	"error_message" text NOT NULL,
	"open" integer NOT NULL,
	"redriving" integer NOT NULL,
	"resolved" integer NOT NULL,
	"archived" integer NOT NULL,
	"first_seen_at" timestamp with time zone NOT NULL,
	"last_seen_at" timestamp with time zone NOT NULL,
	"ignored_until" timestamp with time zone,
	"ignored_until_count" integer,
	CONSTRAINT "letter_groups_counts" CHECK ("letter_groups"."open" >= 0 and "letter_groups"."redriving" >= 0 and "letter_groups"."resolved" >= 0 and "letter_groups"."archived" >= 0)
);
--> statement-breakpoint
CREATE TABLE "letter_notes" (
	"note_id" uuid PRIMARY KEY NOT NULL,
	"letter_id" uuid NOT NULL,
	"by" text NOT NULL,
	"text" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "letters" (
	"letter_id" uuid PRIMARY KEY NOT NULL,
	"consumer" text NOT NULL,
	"message_id" uuid NOT NULL,
	"group_id" uuid NOT NULL,
	"source" text NOT NULL,
	"position" text NOT NULL,
	"type" text,
	"key" text,
	"correlation_id" text,
	"causation_id" text,
	"traceparent" text,
	"coordination" text NOT NULL,
	"reason" text NOT NULL,
	"error_code" text NOT NULL,
	"error_message" text NOT NULL,
	"error_stack" text,
	"attempts" integer NOT NULL,
	"first_failed_at" timestamp with time zone NOT NULL,
	"last_failed_at" timestamp with time zone NOT NULL,
	"fingerprint" text NOT NULL,
	"status" text NOT NULL,
	"outcome" text,
	"waiting_behind" integer DEFAULT 0 NOT NULL,
	"headers" json NOT NULL,
	"body" text NOT NULL,
	"encoding" text NOT NULL,
	"bytes" integer NOT NULL,
	"corrected_body" text,
	"redrive_id" uuid,
	"fact_at" timestamp with time zone NOT NULL,
	"ingested_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "letters_identity" UNIQUE("consumer","message_id"),
	CONSTRAINT "letters_status" CHECK ("letters"."status" in ('open', 'redriving', 'resolved', 'archived')),
	CONSTRAINT "letters_redriving" CHECK (("letters"."status" = 'redriving') = ("letters"."redrive_id" is not null))
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
CREATE TABLE "redrive_letters" (
	"redrive_id" uuid NOT NULL,
	"letter_id" uuid NOT NULL,
	"state" text NOT NULL,
	"sent_at" timestamp with time zone,
	"ended_at" timestamp with time zone,
	CONSTRAINT "redrive_letters_redrive_id_letter_id_pk" PRIMARY KEY("redrive_id","letter_id")
);
--> statement-breakpoint
CREATE TABLE "redrives" (
	"redrive_id" uuid PRIMARY KEY NOT NULL,
	"selection" json NOT NULL,
	"by" text NOT NULL,
	"why" text NOT NULL,
	"rate_per_second" integer NOT NULL,
	"canary" integer NOT NULL,
	"canary_state" text NOT NULL,
	"state" text NOT NULL,
	"next_send_at" timestamp with time zone DEFAULT now() NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone,
	CONSTRAINT "redrives_state" CHECK ("redrives"."state" in ('running', 'paused', 'done', 'cancelled'))
);
--> statement-breakpoint
CREATE INDEX "audit_entries_letter" ON "audit_entries" USING btree ("letter_id","audit_id");--> statement-breakpoint
CREATE INDEX "audit_entries_group" ON "audit_entries" USING btree ("group_id","audit_id");--> statement-breakpoint
CREATE INDEX "audit_entries_redrive" ON "audit_entries" USING btree ("redrive_id","audit_id");--> statement-breakpoint
CREATE INDEX "letter_groups_last_seen" ON "letter_groups" USING btree ("last_seen_at","group_id");--> statement-breakpoint
CREATE INDEX "letter_notes_letter" ON "letter_notes" USING btree ("letter_id","note_id");--> statement-breakpoint
CREATE INDEX "letters_status" ON "letters" USING btree ("status","letter_id");--> statement-breakpoint
CREATE INDEX "letters_group" ON "letters" USING btree ("group_id","status","letter_id");--> statement-breakpoint
CREATE INDEX "outbox_dead_key" ON "outbox_dead" USING btree ("transport","destination","key","id");--> statement-breakpoint
CREATE INDEX "redrive_letters_state" ON "redrive_letters" USING btree ("redrive_id","state","letter_id");--> statement-breakpoint
CREATE INDEX "redrives_running" ON "redrives" USING btree ("next_send_at") WHERE "redrives"."state" = 'running';