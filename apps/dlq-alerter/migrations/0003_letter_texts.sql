CREATE TABLE "letter_texts" (
	"letter_id" uuid PRIMARY KEY NOT NULL,
	"text" text NOT NULL
);
--> statement-breakpoint
insert into letter_texts (letter_id, text)
select letter_id, lower(left(coalesce(type, ''), 200) || ' ' || left(coalesce(key, ''), 200) || ' ' || left(error_message, 300)
  || ' ' || left(body, 1000))
from letters;
--> statement-breakpoint
drop index letters_search;
--> statement-breakpoint
drop function letter_search(text, text, text, text);
--> statement-breakpoint
-- Trigrams are merged into the index a few thousand letters at a time, which costs a third less than the default of 4 MB.
create index letter_texts_search on letter_texts using gin (text gin_trgm_ops) with (gin_pending_list_limit = 32768);
--> statement-breakpoint
grant select, insert, update, delete on letter_texts to dlq_alerter;
