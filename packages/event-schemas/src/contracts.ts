import type { Contract } from './contract.ts'
import {
  messageDeadLetteredV1,
  messageDiscardV1,
  messageRedriveV1,
  messageResolvedV1,
  messageWaitingV1,
} from './dead-letters.ts'
import {
  stockRejectedV1,
  stockReleasedV1,
  stockReservedV1,
  stockShippedV1,
} from './inventory-events.ts'
import {
  orderCancelledV1,
  orderCancellingV1,
  orderConfirmedV1,
  orderPlacedV1,
} from './order-events.ts'
import { paymentCapturedV1, paymentDeclinedV1, paymentRefundedV1 } from './payment-events.ts'
import {
  paymentCaptureV1,
  paymentRefundV1,
  stockReleaseV1,
  stockReserveV1,
} from './saga-commands.ts'
import {
  paymentCaptureRepliedV1,
  paymentRefundRepliedV1,
  stockReleaseRepliedV1,
  stockReserveRepliedV1,
} from './saga-replies.ts'

/** Every message of the system, in every version that is still sent. A test finds one that is missing here. */
export const contracts: readonly Contract[] = [
  orderPlacedV1,
  orderCancellingV1,
  orderConfirmedV1,
  orderCancelledV1,
  stockReservedV1,
  stockRejectedV1,
  stockReleasedV1,
  stockShippedV1,
  paymentCapturedV1,
  paymentDeclinedV1,
  paymentRefundedV1,
  stockReserveV1,
  stockReleaseV1,
  paymentCaptureV1,
  paymentRefundV1,
  stockReserveRepliedV1,
  stockReleaseRepliedV1,
  paymentCaptureRepliedV1,
  paymentRefundRepliedV1,
  messageDeadLetteredV1,
  messageResolvedV1,
  messageWaitingV1,
  messageRedriveV1,
  messageDiscardV1,
]
