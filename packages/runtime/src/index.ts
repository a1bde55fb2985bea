export { type Backoff, type FailedTry, fullJitter, sleep, untilDone } from './backoff.ts'
export {
  amqpUrl,
  brokerList,
  ConfigError,
  databaseConfig,
  daysFrom,
  describeConfig,
  flag,
  httpUrl,
  kafkaConfig,
  logLevel,
  milliseconds,
  millisecondsFrom,
  namespace,
  port,
  positiveInteger,
  postgresUrl,
  type ProcessSettings,
  processConfig,
  rabbitmqConfig,
  readConfig,
  redisUrl,
  setting,
  smtpUrl,
} from './config.ts'
export {
  callAtEachPass,
  callAtFirstPass,
  enableFaultPoints,
  type FaultPoints,
  faultPoint,
  InjectedFault,
  parseFaultPoints,
} from './fault-points.ts'
export { createHealth, type Health, type HealthReport, type Readiness } from './health.ts'
export { type Component, createLifecycle, type Lifecycle } from './lifecycle.ts'
export { createLogger, hidePasswords, type Logger, type LoggerOptions } from './logger.ts'
export { Linger, type LingerBounds } from './linger.ts'
export { createLoop, type Loop, type LoopOptions } from './loop.ts'
export { type MainOptions, runMain, type Service, type ServiceProcess } from './main.ts'
export {
  type Counter,
  collectProcessMetrics,
  counter,
  durationBuckets,
  type Gauge,
  gauge,
  type Histogram,
  histogram,
  renderMetrics,
} from './metrics.ts'
export { parseRetryAfter } from './retry-after.ts'
export { traceparentFrom } from './tracing.ts'
export { ask } from './postgres/ask.ts'
export { type Database, type DatabaseOptions, openDatabase } from './postgres/database.ts'
export { declaredStatements, noRow, type Statement, statement } from './postgres/statement.ts'
export { type Flush, Tx } from './postgres/tx.ts'
export {
  AppError,
  classify,
  type FailureClass,
  isConnectionError,
  sqlState,
  unreachable,
} from './errors.ts'
export { createGroupCommit, type GroupCommit } from './group-commit.ts'
