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
    letter = await untilLetter(deadLetters, order.orderId)
  } finally {
    await rollBack()
  }
  tell(`dead letter: ${letter.type ?? ''}, ${letter.consumer}, ${letter.reason}`)
  const alert = await untilAlert(deadLetters, letter)
  tell(`alert: ${alert.summary}`)
  tell(`see ${alert.runbook}`)
  tell(`edp letters show ${letter.letterId}`)
  const { content } = await deadLetters.letter(letter.letterId)
  await deadLetters.correct(letter.letterId, content.body.replace('"two"', '2'))
  tell('edp letters edit: "two" → 2, checked against the schema')
  await deadLetters.redrive(letter.letterId)
  tell('edp letters redrive')
  await follow(context, order)
  await untilEqual('status of the letter', 'resolved', async () => {
    return (await deadLetters.letter(letter.letterId)).status
  })
  tell('the letter is resolved: its consumer said so')
  return { orders: [order], skus: [sku] }
}

async function untilLetter(deadLetters: DeadLetterApi, orderId: string): Promise<Letter> {
  let letter: Letter | undefined
  await untilEqual('dead letters of the order', 1, async () => {
    const letters = await deadLetters.lettersOf(orderId)
    letter = letters[0]
    return letters.length
  })
  if (letter === undefined) throw new Error(`order ${orderId} has no dead letter`)
  return letter
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
