import { priority } from '@edp/event-schemas'
import { AppError, noRow, statement, type Tx, unreachable } from '@edp/runtime'
import { z } from 'zod'
import type { Payment } from '../domain/payment.ts'

const paymentRow = z.object({
  order_id: z.string(),
  status: z.enum([
    'requested',
    'captured',
    'declined',
    'voiding',
    'void',
    'refunding',
    'refunded',
    'refund_failed',
  ]),
  amount_minor: z.number(),
  currency: z.string(),
  payment_ref: z.string(),
  charge_id: z.string().nullable(),
  decline_code: z.string().nullable(),
  refunded_minor: z.number(),
  attempts: z.number(),
  due_in_ms: z.number().nullable(),
  causation_id: z.string(),
  coordination: z.enum(['choreographed', 'orchestrated']),
  traceparent: z.string().nullable(),
  command_attempt: z.number().nullable(),
  priority,
  is_dead_lettered: z.boolean(),
  redrive_id: z.string().nullable(),
})
type PaymentRow = z.infer<typeof paymentRow>

const columns = `p.order_id, p.status, p.amount_minor, p.currency, p.payment_ref, p.charge_id, p.decline_code,
     p.refunded_minor, p.attempts, (extract(epoch from p.due_at - now()) * 1000)::float8 as due_in_ms,
     p.causation_id, p.coordination, p.traceparent, p.command_attempt, p.priority, p.is_dead_lettered, p.redrive_id`

const lock = statement(
  'payments_lock',
  paymentRow,
  `select ${columns}
   from unnest($1::uuid[]) as k (order_id)
   join payments p on p.order_id = k.order_id
   order by p.order_id
   for update of p`,
)

// Terms never change. An upsert and not an update: a batch may both request a payment and begin its undo.
const save = statement(
  'payments_save',
  noRow,
  `insert into payments (order_id, status, charge_id, decline_code, refunded_minor, attempts, due_at, is_dead_lettered,
     redrive_id, causation_id, coordination, traceparent, command_attempt, priority, amount_minor, currency, payment_ref)
   select order_id, status, charge_id, decline_code, refunded_minor, attempts,
     now() + due_in_ms * interval '1 millisecond', is_dead_lettered, redrive_id, causation_id, coordination, traceparent,
     command_attempt, priority, amount_minor, currency, payment_ref
   from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::integer[], $7::float8[], $8::boolean[],
     $9::uuid[], $10::uuid[], $11::text[], $12::text[], $13::integer[], $14::text[], $15::bigint[], $16::text[],
     $17::text[])
     as s (order_id, status, charge_id, decline_code, refunded_minor, attempts, due_in_ms, is_dead_lettered, redrive_id,
       causation_id, coordination, traceparent, command_attempt, priority, amount_minor, currency, payment_ref)
   order by order_id
   on conflict (order_id) do update set
     status = excluded.status, charge_id = excluded.charge_id, decline_code = excluded.decline_code,
     refunded_minor = excluded.refunded_minor, attempts = excluded.attempts, due_at = excluded.due_at,
     is_dead_lettered = excluded.is_dead_lettered, redrive_id = excluded.redrive_id,
     causation_id = excluded.causation_id, coordination = excluded.coordination, traceparent = excluded.traceparent,
     command_attempt = excluded.command_attempt, priority = excluded.priority`,
)

const update = statement(
  'payments_update',
  noRow,
  `update payments p set
     status = s.status, charge_id = s.charge_id, decline_code = s.decline_code, refunded_minor = s.refunded_minor,
     attempts = s.attempts, due_at = now() + s.due_in_ms * interval '1 millisecond',
     is_dead_lettered = s.is_dead_lettered, redrive_id = s.redrive_id
   from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::integer[], $7::float8[], $8::boolean[],
     $9::uuid[])
     as s (order_id, status, charge_id, decline_code, refunded_minor, attempts, due_in_ms, is_dead_lettered, redrive_id)
   where p.order_id = s.order_id`,
)

// `skip locked`: two processes that look at once get different rows. Time is the database's: no process' clock decides
// what is due.
const claimDue = statement(
  'payments_claim_due',
  paymentRow,
  `update payments p set due_at = now() + $2 * interval '1 millisecond'
   from (
     select order_id from payments where due_at <= now() order by due_at limit $1 for update skip locked
   ) d
   where p.order_id = d.order_id
   returning ${columns}`,
)

/** Locks the payments of orders; one that does not exist is left out. */
export async function lockPayments(
  tx: Tx,
  orderIds: readonly string[],
): Promise<Map<string, Payment>> {
  if (orderIds.length === 0) return new Map()
  const rows = await tx.run(lock, [orderIds])
  return new Map(rows.map((row) => [row.order_id, toPayment(row)]))
}

/**
 * Writes payments, new and changed ones in one statement, whose answer the commit awaits. Who saves one that is due at
 * once calls the gateway after the commit, so for `claimLeaseMs` it is due for nobody else.
 */
export function savePayments(
  tx: Tx,
  payments: readonly Payment[],
  options: { claimLeaseMs: number },
): void {
  if (payments.length === 0) return
  void tx.execute(save, [
    ...changingColumns(payments, options),
    payments.map((payment) => payment.cause.messageId),
    payments.map((payment) => payment.cause.coordination),
    payments.map((payment) => payment.cause.traceparent ?? null),
    payments.map((payment) => payment.cause.attempt ?? null),
    payments.map((payment) => payment.cause.priority),
    payments.map((payment) => payment.amountMinor),
    payments.map((payment) => payment.currency),
    payments.map((payment) => payment.paymentRef),
  ])
}

/** Writes what answers of the gateway changed of payments that are locked; otherwise like `savePayments`. */
export function updatePayments(
  tx: Tx,
  payments: readonly Payment[],
  options: { claimLeaseMs: number },
): void {
  if (payments.length === 0) return
  void tx.execute(update, changingColumns(payments, options))
}

/** Takes at most `limit` payments that are due; they are due again after `claimLeaseMs`, should this process die. */
export async function claimDuePayments(
  tx: Tx,
  { limit, claimLeaseMs }: { limit: number; claimLeaseMs: number },
): Promise<Payment[]> {
  const rows = await tx.run(claimDue, [limit, claimLeaseMs])
  return rows.map(toPayment)
}

function changingColumns(
  payments: readonly Payment[],
  { claimLeaseMs }: { claimLeaseMs: number },
): unknown[][] {
  return [
    payments.map((payment) => payment.orderId),
    payments.map((payment) => payment.status),
    payments.map((payment) => ('chargeId' in payment ? payment.chargeId : null)),
    payments.map(declineCodeOf),
    payments.map((payment) => ('refundedMinor' in payment ? payment.refundedMinor : 0)),
    payments.map((payment) => payment.attempts),
    payments.map((payment) => {
      if (!('dueInMs' in payment)) return null
      return payment.dueInMs === 0 ? claimLeaseMs : payment.dueInMs
    }),
    payments.map((payment) => payment.letter !== undefined),
    payments.map((payment) => payment.letter?.redriveId ?? null),
  ]
}

function declineCodeOf(payment: Payment): string | null {
  if (payment.status === 'declined') return payment.code
  return 'declineAs' in payment ? payment.declineAs : null
}

function toPayment(row: PaymentRow): Payment {
  const { status, charge_id: chargeId, refunded_minor: refundedMinor } = row
  const terms = {
    orderId: row.order_id,
    amountMinor: row.amount_minor,
    currency: row.currency,
    paymentRef: row.payment_ref,
    attempts: row.attempts,
    cause: {
      messageId: row.causation_id,
      coordination: row.coordination,
      traceparent: row.traceparent ?? undefined,
      attempt: row.command_attempt ?? undefined,
      priority: row.priority,
    },
    ...(row.is_dead_lettered && { letter: { redriveId: row.redrive_id } }),
  }
  const open = { ...terms, dueInMs: row.due_in_ms ?? 0 }
  const declineAs = row.decline_code
  switch (status) {
    case 'requested':
      return { ...open, status }
    case 'voiding':
    case 'refunding':
    case 'refund_failed':
      return { ...open, status, chargeId, declineAs }
    case 'captured':
      return { ...terms, status, chargeId: present(chargeId, row) }
    case 'declined':
      return { ...terms, status, code: present(declineAs, row), refundedMinor }
    case 'void':
      return { ...terms, status }
    case 'refunded':
      return { ...terms, status, chargeId, refundedMinor }
    default:
      return unreachable(status)
  }
}

function present(value: string | null, row: PaymentRow): string {
  if (value !== null) return value
  // The checks of the table make this impossible.
  throw new AppError('broken-payment', `the payment of ${row.order_id} lacks a column`, {
    retry: 'permanent',
  })
}
