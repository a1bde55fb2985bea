import { databaseConfig, openDatabase, readConfig } from '@edp/runtime'
import { replayAll } from '@edp/saga/postgres'
import { z } from 'zod'
import { orderSagas } from './sagas.ts'
import { serviceName } from './service-name.ts'

/**
 * Decides the log of every saga of `DATABASE_URL` again, prints how many there are and what does not agree with the rows, as JSON.
 * Exit code 0 also when something does not agree: it has been read and said; 1 when the database cannot be read.
 */
async function main(): Promise<void> {
  const { DATABASE_URL: url } = readConfig(z.object(databaseConfig), process.env)
  const database = openDatabase({ url, applicationName: `${serviceName}-replay` })
  try {
    const found = await replayAll(database, orderSagas.registry)
    process.stdout.write(`${JSON.stringify(found)}\n`)
  } finally {
    await database.end()
  }
}

try {
  await main()
} catch (error) {
  process.stderr.write(`replay: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
