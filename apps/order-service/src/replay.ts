import { databaseConfig, openDatabase, readConfig } from '@edp/runtime'
import { replayAll } from '@edp/saga/postgres'
import { z } from 'zod'
import { orderSagas } from './sagas.ts'
import { serviceName } from './service-name.ts'

// Decides the log of every saga again and compares with what is stored: for tests of the whole system, and for whoever doubts.
// Exit code 0 when all agree, 1 when one does not.
const { DATABASE_URL: url } = readConfig(z.object(databaseConfig), process.env)
const database = openDatabase({ url, applicationName: `${serviceName} replay` })
try {
  const { sagas, problems } = await replayAll(database, orderSagas.registry)
  for (const problem of problems) process.stderr.write(`${problem}\n`)
  process.stdout.write(`${sagas} sagas decided again, ${problems.length} problems\n`)
  process.exitCode = problems.length === 0 ? 0 : 1
} finally {
  await database.end()
}
