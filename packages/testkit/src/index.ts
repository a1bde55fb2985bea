export {
  type AppProcess,
  freePort,
  killApps,
  spawnApp,
  type SpawnedApp,
  startApp,
} from './app-process.ts'
export { explainPlans, type LookupKeys, type PlannedStatement } from './explain-plans.ts'
export { fromSource } from './from-source.ts'
export { patient } from './patient.ts'
export { closeProxies, type Proxy, type ProxyOptions, proxyTo, proxyToUrl } from './proxy.ts'
export { type Random, randomOf, seededRandom, uniqueNamespace } from './random.ts'
export { repositoryRoot, rolePassword, type Stack, stack } from './stack.ts'
export { tablesSql } from './tables-sql.ts'
export { type Migrations, templateDatabase, type TestDatabase } from './template-database.ts'
export { untilHandled } from './until-handled.ts'
export { waitFor, type WaitOptions } from './wait-for.ts'
