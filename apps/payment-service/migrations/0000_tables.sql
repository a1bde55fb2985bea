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
CREATE TABLE "outbox_lease" (
	"transport" text PRIMARY KEY NOT NULL,
	"owner" text NOT NULL,
	"epoch" bigint NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "payments" (
	"order_id" uuid PRIMARY KEY NOT NULL,
	"status" text NOT NULL,
	"amount_minor" bigint NOT NULL,
	"currency" text NOT NULL,
	"payment_ref" text NOT NULL,
	"charge_id" text,
	"decline_code" text,
	"refunded_minor" bigint DEFAULT 0 NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"due_at" timestamp with time zone,
	"causation_id" uuid NOT NULL,
	"coordination" text NOT NULL,
	"traceparent" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "payments_status" CHECK ("payments"."status" in ('requested', 'captured', 'declined', 'voiding', 'void', 'refunding', 'refunded', 'refund_failed')),
	CONSTRAINT "payments_open_is_due" CHECK (("payments"."due_at" is not null) = ("payments"."status" in ('requested', 'voiding', 'refunding', 'refund_failed'))),
	CONSTRAINT "payments_captured" CHECK ("payments"."status" <> 'captured' or "payments"."charge_id" is not null),
	CONSTRAINT "payments_declined" CHECK ("payments"."status" <> 'declined' or "payments"."decline_code" is not null),
	CONSTRAINT "payments_refund" CHECK ("payments"."refunded_minor" between 0 and "payments"."amount_minor")
);
--> statement-breakpoint
CREATE TABLE "step_ledger" (
	"saga_id" uuid NOT NULL,
	"step" text NOT NULL,
	"direction" text NOT NULL,
	"outcome" text NOT NULL,
	"reply" json,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "step_ledger_saga_id_step_direction_pk" PRIMARY KEY("saga_id","step","direction")
);
--> statement-breakpoint
CREATE INDEX "payments_due" ON "payments" USING btree ("due_at") WHERE "payments"."due_at" is not null;