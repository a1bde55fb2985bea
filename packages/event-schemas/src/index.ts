export {
  type BodyOf,
  type BodyReading,
  type CommandHeaders,
  type ComposedMessage,
  compose,
  type Contract,
  type Destination,
  defineContract,
  type Origin,
  type Outgoing,
  outgoing,
  qualify,
  readBody,
  upcast,
} from './contract.ts'
export { contracts } from './contracts.ts'
export {
  type Coordination,
  coordination,
  type Direction,
  direction,
  type Envelope,
  envelope,
  type Message,
  newMessageId,
  parseType,
} from './envelope.ts'
export {
  amountMinor,
  type CancelReason,
  cancelReason,
  currency,
  type Line,
  line,
  orderId,
  type Payment,
  type PricedLine,
  payment,
  pricedLine,
  priority,
  type Priority,
  quantity,
  sagaId,
  sku,
} from './fields.ts'
export {
  type EnvelopeReading,
  fromHeaders,
  headerPrefix,
  toHeaders,
  type Transport,
  typeFromHeaders,
} from './headers.ts'
export { newId } from './new-id.ts'
export {
  type StockRejectedV1,
  type StockReleasedV1,
  type StockReservedV1,
  type StockShippedV1,
  stockRejectedV1,
  stockReleasedV1,
  stockReservedV1,
  stockShippedV1,
} from './inventory-events.ts'
export {
  type OrderCancelledV1,
  type OrderCancellingV1,
  type OrderConfirmedV1,
  type OrderPlacedV1,
  orderCancelledV1,
  orderCancellingV1,
  orderConfirmedV1,
  orderPlacedV1,
} from './order-events.ts'
export {
  type PaymentCapturedV1,
  type PaymentDeclinedV1,
  type PaymentRefundedV1,
  paymentCapturedV1,
  paymentDeclinedV1,
  paymentRefundedV1,
} from './payment-events.ts'
export {
  type PaymentCaptureV1,
  type PaymentRefundV1,
  paymentCaptureV1,
  paymentRefundV1,
  type StockReleaseV1,
  type StockReserveV1,
  stockReleaseV1,
  stockReserveV1,
} from './saga-commands.ts'
export {
  type PaymentCaptureRepliedV1,
  type PaymentRefundRepliedV1,
  paymentCaptureRepliedV1,
  paymentRefundRepliedV1,
  type ReplyOutcome,
  replyOutcome,
  type StockReleaseRepliedV1,
  type StockReserveRepliedV1,
  stockReleaseRepliedV1,
  stockReserveRepliedV1,
} from './saga-replies.ts'
export { deadLetterQueue, type Queue, queues, type Topic, topics } from './topology.ts'
