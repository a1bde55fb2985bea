import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Order } from './api.ts'
import { createDeadLetterApi, type Letter } from './dead-letter-api.ts'
import { request } from './http-client.ts'
import { type Cast, makeProduct, type ScenarioContext, untilAllEnded, untilEqual } from './story.ts'

const mailsPage = z.object({
  mails: z.array(z.object({ subject: z.string(), notificationId: z.string().nullable() })),
})
const notificationsPage = z.object({
  notifications: z.array(
    z.object({ id: z.string(), kind: z.string(), status: z.string(), dueAt: z.string() }),
  ),
})
const customerDomain = 'customers.example'

/**
 * What three customers are told: one by an e-mail at once and another that waits in Redis for its hour, one before all others, and one
 * whose address is refused for good: dead letter → the address is mended → redrive → resolved.
 * @throws Error when a step did not come within half a minute
 */
export async function toldCustomers(context: ScenarioContext): Promise<Cast> {
  const { tell } = context
  const sku = await makeProduct(context, 10)
  const [happy, late, unknown] = ['ada', 'ben', 'refused'].map(
    (name) => `${name}-${randomBytes(4).toString('hex')}`,
  ) as [string, string, string]
  const confirmed = await placeFor(context, happy, [{ sku, quantity: 1 }])
  const cancelled = await placeFor(context, late, [{ sku, quantity: 100 }])
  const refused = await placeFor(context, unknown, [{ sku, quantity: 1 }])
  const orders = [confirmed, cancelled, refused]
  await untilAllEnded(context, orders)

  await untilMailed(context, happy, `Your order ${confirmed.orderId} is confirmed`)
  tell(`e-mail to ${happy}: your order is confirmed`)
  const waiting = await notificationOf(context, confirmed.orderId, 'review-request')
  const minutes = Math.round((Date.parse(waiting.dueAt) - Date.now()) / 60_000)
  tell(`delayed: send-review-request, ${waiting.status}, due in ${minutes} min`)
  await untilMailed(context, late, `Your order ${cancelled.orderId} is cancelled`)
  tell(`e-mail to ${late}: send-cancellation has the highest priority`)

  const letter = await untilJobLetter(context, refused.orderId)
  tell(`dead job: ${letter.type ?? ''}, ${letter.reason}, ${letter.error.code}`)
  const address = encodeURIComponent(`${unknown}@${customerDomain}`)
  await request(z.unknown(), 'POST', `${context.mailsUrl}/addresses/${address}/repair`)
  const deadLetters = createDeadLetterApi(context.deadLettersUrl)
  await deadLetters.redrive(letter.letterId)
  tell('the address is mended; edp letters redrive')
  await untilMailed(context, unknown, `Your order ${refused.orderId} is confirmed`)
  await untilEqual('status of the letter', 'resolved', async () => {
    return (await deadLetters.letter(letter.letterId)).status
  })
  tell(`e-mail to ${unknown}; the letter is resolved`)
  return { orders, skus: [sku] }
}

async function placeFor(
  { api, coordination, tell }: ScenarioContext,
  customerId: string,
  lines: { sku: string; quantity: number }[],
): Promise<Order> {
  const body = { customerId, currency: 'EUR', lines, paymentToken: 'tok_ok', coordination }
  const order = await api.placeOrder(body)
  tell(`POST /orders of ${customerId} → 202`)
  return order
}

async function untilMailed(
  { mailsUrl }: ScenarioContext,
  customer: string,
  subject: string,
): Promise<void> {
  const to = encodeURIComponent(`${customer}@${customerDomain}`)
  await untilEqual(`e-mails to ${customer}`, subject, async () => {
    const { mails } = await request(mailsPage, 'GET', `${mailsUrl}/mails?to=${to}`)
    return mails.map((mail) => mail.subject).join('; ')
  })
}

async function notificationOf(
  { notificationsUrl }: ScenarioContext,
  orderId: string,
  kind: string,
): Promise<z.infer<typeof notificationsPage>['notifications'][number]> {
  const url = `${notificationsUrl}/notifications?orderId=${orderId}`
  const { notifications } = await request(notificationsPage, 'GET', url)
  const found = notifications.find((one) => one.kind === kind)
  if (found === undefined) throw new Error(`order ${orderId} has no ${kind}`)
  return found
}

async function untilJobLetter(context: ScenarioContext, orderId: string): Promise<Letter> {
  const deadLetters = createDeadLetterApi(context.deadLettersUrl)
  let letter: Letter | undefined
  await untilEqual('dead letters of the order', 1, async () => {
    const letters = await deadLetters.lettersOf(orderId)
    letter = letters[0]
    return letters.length
  })
  if (letter === undefined) throw new Error(`order ${orderId} has no dead letter`)
  return letter
}
