ALTER TABLE "payments" ADD COLUMN "is_dead_lettered" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "payments" ADD COLUMN "redrive_id" uuid;