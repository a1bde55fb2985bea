import { randomOf } from './random.ts'
import {
  type Ending,
  makeProduct,
  place,
  readEnding,
  type ScenarioContext,
  untilAllEnded,
} from './story.ts'

const tokens = ['tok_ok', 'tok_ok', 'tok_declined', 'tok_5xx_twice', 'tok_refused_by_name'] as const

/** Orders whose outcome the seed alone decides: each for products of its own, so that none depends on another's speed. */
export async function randomOrders(context: ScenarioContext, seed: number): Promise<Ending[]> {
  const random = randomOf(seed)
  const plans = Array.from({ length: 40 }, () => ({
    token: tokens[Math.floor(random() * tokens.length)] ?? 'tok_ok',
    stock: Array.from({ length: 1 + Math.floor(random() * 3) }, () => Math.floor(random() * 4)),
    quantity: 1 + Math.floor(random() * 2),
  }))
  return await Promise.all(
    plans.map(async ({ token, stock, quantity }) => {
      // Whoever has none of a product has never heard of it; so everybody gets one more.
      const skus = await Promise.all(stock.map((onHand) => makeProduct(context, onHand + 1)))
      const lines = skus.map((sku) => ({ sku, quantity: quantity + 1 }))
      const order = await place(context, token, lines, false)
      await untilAllEnded(context, [order])
      return await readEnding(context, { orders: [order], skus })
    }),
  )
}
