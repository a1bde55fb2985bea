import { randomUUID } from 'node:crypto'
import {
  classify,
  faultPoint,
  histogram,
  type Logger,
  sleep,
  unreachable,
  untilDone,
} from '@edp/runtime'
import { DelayedError, type Job, type Processor, UnrecoverableError, Worker } from 'bullmq'
import { mailOf } from '../domain/mail.ts'
import type { JobRow, Outcome } from '../domain/sending.ts'
import {
  type JobData,
  type JobQueue,
  type JobResult,
  jobNames,
  plannedFor,
  queueName,
} from './job-queue.ts'
import type { JobStore, Lease } from './job-store.ts'
import type { MailSender, SendOutcome } from './mail-sender.ts'
import type { Pause } from './pause.ts'

export interface ProcessorOptions {
  store: JobStore
  sender: MailSender
  jobs: JobQueue
  pause: Pause
  leaseMs: number
  /** Writes the row of the digest that is due at a time. @returns its id */
  planDigest: (due: Date) => Promise<string>
  logger: Logger
}

const jobSeconds = histogram('edp_job_seconds', 'How long jobs took', ['queue', 'job', 'outcome'])

// The answer of the provider must not be lost: this is what keeps an e-mail from going out twice.
const recordBackoff = { baseMs: 20, capMs: 250 }
// A lease that has just ended: not asked for a hundred times.
const laterMinMs = 50

type NotificationJob = Job<JobData, JobResult>

/**
 * What is done about a job, by its name. The row decides: it is claimed with a lease, sent only while it is owed, and marked when
 * the provider has taken the e-mail. Whatever ends a process between any two lines of this is found by whoever comes next.
 */
export function createProcessor(options: ProcessorOptions): Processor<JobData, JobResult> {
  const named: Record<string, (job: NotificationJob, token: string) => Promise<JobResult>> = {
    [jobNames.confirmation]: (job, token) => sendOne(job, token, options),
    [jobNames.cancellation]: (job, token) => sendOne(job, token, options),
    [jobNames['review-request']]: (job, token) => sendOne(job, token, options),
    [jobNames.digest]: (job, token) =>
      job.repeatJobKey === undefined
        ? sendOne(job, token, options)
        : whileAvailable(options, () => plan(job, options)),
  }
  return async (job, token) => {
    const process = named[job.name]
    if (process === undefined) throw new UnrecoverableError(`there is no processor ${job.name}`)
    const startedAt = performance.now()
    let outcome = 'failed'
    try {
      const result = await process(job, token ?? '')
      outcome = result.outcome
      return result
    } finally {
      const seconds = (performance.now() - startedAt) / 1000
      jobSeconds.observe({ queue: queueName, job: job.name, outcome }, seconds)
    }
  }
}

async function plan(job: NotificationJob, { planDigest }: ProcessorOptions): Promise<JobResult> {
  await faultPoint('digest.before-plan')
  const notificationId = await planDigest(plannedFor(job))
  await faultPoint('digest.planned')
  return { outcome: 'planned', notificationId }
}

async function sendOne(
  job: NotificationJob,
  token: string,
  options: ProcessorOptions,
): Promise<JobResult> {
  const { store, leaseMs } = options
  for (;;) {
    const lease: Lease = { id: job.data.notificationId, owner: randomUUID() }
    await faultPoint('job.before-claim')
    // Before the claim is asked for: the lease begins later, and so it lasts at least as long as this clock says.
    const askedAt = performance.now()
    const claim = await whileAvailable(options, () => store.claim(lease))
    switch (claim.kind) {
      case 'nothing-to-do':
        return { outcome: 'nothing-to-do', status: claim.status }
      case 'later':
        await job.moveToDelayed(Date.now() + Math.max(laterMinMs, claim.inMs), token)
        throw new DelayedError()
      case 'claimed':
        await faultPoint('job.claimed')
        // A process that was stopped meanwhile asks again: another may be sending it. Half of the lease, so that the rest lasts
        // until it is renewed.
        if (performance.now() - askedAt < leaseMs / 2)
          return await deliver(claim.row, lease, options)
        break
      default:
        return unreachable(claim)
    }
  }
}

async function deliver(row: JobRow, lease: Lease, options: ProcessorOptions): Promise<JobResult> {
  const { sender, pause } = options
  const sent = await underLease(lease, options, () =>
    sender.send({
      notificationId: row.id,
      to: row.recipient,
      ...mailOf(row.content, row.orderId),
    }),
  )
  switch (sent.kind) {
    case 'sent':
      pause.end()
      await faultPoint('job.marked')
      return { outcome: 'sent', response: sent.response }
    case 'failed':
      pause.end()
      throw new Error(`${sent.code}: ${sent.message}`)
    case 'refused':
      pause.end()
      throw new UnrecoverableError(`${sent.code}: ${sent.message}`)
    case 'away':
      return await waitFor(sent.message, options)
    default:
      return unreachable(sent)
  }
}

/** Sends, and writes down what came of it, while the lease is kept alive. */
async function underLease(
  lease: Lease,
  { store, leaseMs, logger }: ProcessorOptions,
  send: () => Promise<SendOutcome>,
): Promise<SendOutcome> {
  const renewal = setInterval(() => {
    store.renew(lease).catch((err: unknown) => {
      logger.warn({ err, ...lease }, 'a lease could not be renewed')
    })
  }, leaseMs / 3)
  try {
    const sent = await send()
    await faultPoint('job.answered')
    await untilDone(() => store.settle({ ...lease, outcome: outcomeOf(sent) }), {
      ...recordBackoff,
      signal: new AbortController().signal,
      onError: ({ error: err, attempt }) =>
        logger.warn({ err, ...lease, attempt }, 'what the provider said is not written down yet'),
    })
    return sent
  } finally {
    clearInterval(renewal)
  }
}

function outcomeOf(sent: SendOutcome): Outcome {
  return sent.kind === 'away' ? { kind: 'released' } : sent
}

/** Postgres being away concerns every job, and is no attempt of this one. */
async function whileAvailable<T>(options: ProcessorOptions, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    // A claim that waited too long for its turn is refused in the same way: nothing was tried.
    options.logger.debug({ err: error }, 'a job waits')
    if (classify(error) === 'permanent') throw error
    return await waitFor(String(error), options)
  }
}

/** Puts the job back in its place, and leaves all jobs alone for a while, in every process. Never returns. */
async function waitFor(reason: string, { pause, jobs, logger }: ProcessorOptions): Promise<never> {
  const waitMs = pause.begin(reason, Date.now())
  logger.warn({ reason, waitMs }, 'the jobs wait: what they need is away')
  try {
    await jobs.ask((queue) => queue.rateLimit(waitMs))
  } catch {
    await sleep(waitMs)
  }
  throw Worker.RateLimitError()
}
