import {
  createSagaRegistry,
  type RegisteredSaga,
  registerSaga,
  type SagaRegistry,
} from '@edp/saga/postgres'
import { z } from 'zod'
import { type Fulfilment, orderFulfilment } from './domain/fulfilment.ts'

/** What orchestrates orders in this process. */
export interface OrderSagas {
  /** Every version that this process can go on with. One may be taken out when no saga of it is live any more. */
  readonly registry: SagaRegistry
  /** The version of new orders. It is registered everywhere before any process starts orders with it. */
  readonly starts: RegisteredSaga
}

/** How JSON keeps what a saga of an order knows. */
export const fulfilmentContext: z.ZodType<Fulfilment> = z.object({
  orderId: z.string(),
  lines: z.array(z.object({ sku: z.string(), quantity: z.int() })),
  payment: z.object({ amountMinor: z.int(), currency: z.string(), paymentRef: z.string() }),
})

const fulfilmentV1 = registerSaga(orderFulfilment, fulfilmentContext)

/** Every version of every saga of this service. */
export const orderSagas: OrderSagas = {
  registry: createSagaRegistry([fulfilmentV1]),
  starts: fulfilmentV1,
}
