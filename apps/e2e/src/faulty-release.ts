import pg from 'pg'

/** What the bug does. */
export interface Bug {
  /** What it sends is padded to so many bytes; without it a quantity is the word "two". */
  bloatedToBytes?: number
}

/**
 * A release of order-service with a bug in what it sends about one product. A trigger on its outbox stands for it, so that the bytes
 * are on their way as a real bug would have put them there, and nobody else's are.
 * @returns what rolls the release back
 */
export async function deployFaultyRelease(
  ordersDatabaseUrl: string,
  sku: string,
  { bloatedToBytes }: Bug = {},
): Promise<() => Promise<void>> {
  const name = `faulty_release_${sku.replaceAll('-', '_')}`
  const broken =
    bloatedToBytes === undefined
      ? `replace(new.payload::text, '"quantity":2', '"quantity":"two"')::json`
      : `(new.payload::jsonb || jsonb_build_object('padding', repeat('x', ${bloatedToBytes})))::json`
  await run(
    ordersDatabaseUrl,
    `create function ${name}() returns trigger language plpgsql as $$
     begin
       if position('"${sku}"' in new.payload::text) > 0 then new.payload := ${broken}; end if;
       return new;
     end $$;
     create trigger ${name} before insert on outbox for each row execute function ${name}()`,
  )
  // Dropping a trigger takes a weaker lock before the strong one: two at once would wait for each other.
  return () =>
    run(
      ordersDatabaseUrl,
      `begin; lock table outbox in access exclusive mode;
       drop trigger ${name} on outbox; drop function ${name}(); commit`,
    )
}

async function run(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
