import { basename } from 'node:path'
import {
  type Alert,
  createDeadLetterApi,
  type DeadLetterApi,
  type Letter,
} from './dead-letter-api.ts'
import { deployFaultyRelease } from './faulty-release.ts'
import { type Cast, follow, makeProduct, place, type ScenarioContext, untilEqual } from './story.ts'

/**
 * From a faulty release of order-service to the end of the order that it hurt: message → dead letter → alert → inspect →
 * edit → redrive → resolved.
 * @throws Error when a step did not come within half a minute
 */
export async function poisonMessage(context: ScenarioContext): Promise<Cast> {
  const { tell } = context
  const deadLetters = createDeadLetterApi(context.deadLettersUrl)
  const sku = await makeProduct(context, 5)
  const rollBack = await deployFaultyRelease(context.ordersDatabaseUrl, sku)
  let letter: Letter
  const order = await place(context, 'tok_ok', [{ sku, quantity: 2 }])
  try {
    tell('a faulty release writes "quantity": "two" into the message')
    letter = await untilLetters(deadLetters, order.orderId)
  } finally {
    await rollBack()
  }
  tell(`dead letter: ${letter.type ?? ''}, ${letter.consumer}, ${letter.reason}`)
  const alert = await untilAlert(deadLetters, letter)
  tell(`alert: ${alert.summary}`)
  tell(`see infra/runbooks/${basename(alert.runbook)}`)
  tell(`edp letters show ${letter.letterId}`)
  await correct(deadLetters, letter)
  tell('edp letters edit: "two" → 2, checked against the schema')
  await deadLetters.redrive(letter.letterId)
  tell('edp letters redrive')
  await follow(context, order)
  await untilEqual('status of the letter', 'resolved', async () => {
    return (await deadLetters.letter(letter.letterId)).status
  })
  tell('the letter is resolved: its consumer said so')
  await mendOthers(deadLetters, order.orderId)
  return { orders: [order], skus: [sku] }
}

async function correct(deadLetters: DeadLetterApi, { letterId }: Letter): Promise<void> {
  const { content } = await deadLetters.letter(letterId)
  await deadLetters.correct(letterId, content.body.replace('"two"', '2'))
}

/** Every consumer of the message has a letter of its own: of whoever reserves stock, and of the statistics. Gives the first one's. */
async function untilLetters(deadLetters: DeadLetterApi, orderId: string): Promise<Letter> {
  let letters: Letter[] = []
  const serviceOf = ({ consumer }: Letter): string => consumer.split('.')[0] ?? consumer
  await untilEqual('services with a dead letter of the order', 2, async () => {
    letters = await deadLetters.lettersOf(orderId)
    return new Set(letters.map(serviceOf)).size
  })
  const letter = letters.find((one) => serviceOf(one) === 'inventory-service')
  if (letter === undefined) throw new Error(`inventory-service has no dead letter of ${orderId}`)
  return letter
}

/** The statistics' letter, and those of the commands that the saga sent again meanwhile. */
async function mendOthers(deadLetters: DeadLetterApi, orderId: string): Promise<void> {
  // A letter is open for a moment longer, until its redrive has sent it.
  const mended = new Set<string>()
  await untilEqual('letters of the order that are not resolved', 0, async () => {
    const letters = await deadLetters.lettersOf(orderId)
    for (const letter of letters) {
      if (letter.status !== 'open' || mended.has(letter.letterId)) continue
      mended.add(letter.letterId)
      await correct(deadLetters, letter)
      await deadLetters.redrive(letter.letterId)
    }
    return letters.filter(({ status }) => status !== 'resolved').length
  })
}

async function untilAlert(deadLetters: DeadLetterApi, letter: Letter): Promise<Alert> {
  let alert: Alert | undefined
  await untilEqual('alerts of the group', 1, async () => {
    const firing = await deadLetters.firingAlerts()
    const ofGroup = firing.filter(({ path }) => path === `/groups/${letter.groupId}`)
    alert = ofGroup[0]
    return ofGroup.length
  })
  if (alert === undefined) throw new Error(`no alert about the group ${letter.groupId}`)
  return alert
}
