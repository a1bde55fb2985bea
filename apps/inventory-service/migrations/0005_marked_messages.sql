ALTER TABLE "consumer_run" ADD COLUMN "marked_message_ids" uuid[];--> statement-breakpoint
ALTER TABLE "consumer_run" DROP COLUMN "marked_message_id";