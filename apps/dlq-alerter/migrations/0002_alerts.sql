CREATE TABLE "alerting_lease" (
	"name" text PRIMARY KEY NOT NULL,
	"owner" uuid NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "alerts" (
	"alert_id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "alerts_alert_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"dedup_key" text NOT NULL,
	"rule" text NOT NULL,
	"source" text NOT NULL,
	"severity" text NOT NULL,
	"status" text NOT NULL,
	"summary" text NOT NULL,
	"labels" json NOT NULL,
	"path" text NOT NULL,
	"runbook" text NOT NULL,
	"level" integer NOT NULL,
	"starts_at" timestamp with time zone NOT NULL,
	"quiet_since" timestamp with time zone,
	"ends_at" timestamp with time zone,
	CONSTRAINT "alerts_status" CHECK ("alerts"."status" in ('pending', 'firing', 'resolved')),
	CONSTRAINT "alerts_ended" CHECK (("alerts"."status" = 'resolved') = ("alerts"."ends_at" is not null))
);
--> statement-breakpoint
CREATE TABLE "channel_pauses" (
	"channel" text PRIMARY KEY NOT NULL,
	"until" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "notifications" (
	"notification_id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "notifications_notification_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"alert_id" bigint,
	"dedup_key" text NOT NULL,
	"channel" text NOT NULL,
	"kind" text NOT NULL,
	"message" json NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_error" text,
	"fallback_of" bigint,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone,
	CONSTRAINT "notifications_status" CHECK ("notifications"."status" in ('pending', 'sent', 'failed')),
	CONSTRAINT "notifications_kind" CHECK ("notifications"."kind" in ('firing', 'resolved', 'heartbeat'))
);
--> statement-breakpoint
CREATE UNIQUE INDEX "alerts_live" ON "alerts" USING btree ("dedup_key") WHERE "alerts"."status" <> 'resolved';--> statement-breakpoint
CREATE INDEX "alerts_rule" ON "alerts" USING btree ("rule","starts_at");--> statement-breakpoint
CREATE INDEX "alerts_status" ON "alerts" USING btree ("status","alert_id");--> statement-breakpoint
CREATE INDEX "alerts_ended" ON "alerts" USING btree ("ends_at") WHERE "alerts"."status" = 'resolved';--> statement-breakpoint
CREATE INDEX "notifications_due" ON "notifications" USING btree ("channel","next_attempt_at") WHERE "notifications"."status" = 'pending';--> statement-breakpoint
CREATE INDEX "notifications_order" ON "notifications" USING btree ("channel","dedup_key","notification_id") WHERE "notifications"."status" = 'pending';--> statement-breakpoint
CREATE INDEX "notifications_alert" ON "notifications" USING btree ("alert_id");--> statement-breakpoint
CREATE INDEX "notifications_kind" ON "notifications" USING btree ("kind","created_at");--> statement-breakpoint
CREATE INDEX "notifications_status" ON "notifications" USING btree ("status","notification_id");--> statement-breakpoint
CREATE INDEX "notifications_ended" ON "notifications" USING btree ("ended_at") WHERE "notifications"."status" <> 'pending';--> statement-breakpoint
CREATE UNIQUE INDEX "notifications_fallback" ON "notifications" USING btree ("fallback_of");--> statement-breakpoint
grant select, insert, update, delete on alerts, notifications, channel_pauses, alerting_lease to dlq_alerter;
--> statement-breakpoint
-- A live alert's summary changes with its numbers, and a notification at each attempt: room on the page for it.
alter table alerts set (fillfactor = 70);
--> statement-breakpoint
alter table notifications set (fillfactor = 70);
