CREATE TABLE "saga" (
	"id" uuid PRIMARY KEY NOT NULL,
	"definition" text NOT NULL,
	"definition_version" integer NOT NULL,
	"business_key" text NOT NULL,
	"status" text NOT NULL,
	"step" text,
	"direction" text,
	"attempt" integer,
	"due_at" timestamp with time zone,
	"silent_ms" bigint,
	"trouble" text,
	"cause" json,
	"context" json NOT NULL,
	"skipped" json NOT NULL,
	"deadline_at" timestamp with time zone,
	"version" integer NOT NULL,
	"seq" integer NOT NULL,
	"started_at" timestamp with time zone NOT NULL,
	"step_at" timestamp with time zone NOT NULL,
	"changed_at" timestamp with time zone NOT NULL,
	"ended_at" timestamp with time zone,
	CONSTRAINT "saga_business_key" UNIQUE("definition","business_key"),
	CONSTRAINT "saga_status" CHECK (status in ('running', 'compensating', 'fencing', 'needs_human', 'completed', 'compensated')),
	CONSTRAINT "saga_ended" CHECK ((ended_at is not null) = (status in ('completed', 'compensated'))),
	CONSTRAINT "saga_waiting" CHECK (num_nonnulls(step, direction, attempt, due_at, silent_ms) = case when ended_at is null then 5 else 0 end),
	CONSTRAINT "saga_trouble" CHECK ((trouble is not null) = (status = 'needs_human'))
);
--> statement-breakpoint
CREATE TABLE "saga_intervention" (
	"saga_id" uuid NOT NULL,
	"seq" integer NOT NULL,
	"verb" text NOT NULL,
	"actor" text NOT NULL,
	"reason" text NOT NULL,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "saga_intervention_saga_id_seq_pk" PRIMARY KEY("saga_id","seq")
);
--> statement-breakpoint
CREATE TABLE "saga_log" (
	"saga_id" uuid NOT NULL,
	"seq" integer NOT NULL,
	"version" integer NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"input" json NOT NULL,
	"note" text NOT NULL,
	"effects" json NOT NULL,
	"actor" text NOT NULL,
	"traceparent" text,
	CONSTRAINT "saga_log_saga_id_seq_pk" PRIMARY KEY("saga_id","seq")
);
--> statement-breakpoint
DROP INDEX "orders_due";--> statement-breakpoint
CREATE INDEX "saga_due" ON "saga" USING btree ("due_at") WHERE due_at is not null;--> statement-breakpoint
CREATE INDEX "saga_live" ON "saga" USING btree ("status","id") WHERE ended_at is null;--> statement-breakpoint
CREATE INDEX "orders_due" ON "orders" USING btree ("due_at") WHERE status = 'pending' and coordination = 'choreographed';