import { defineSaga } from '../define-saga.ts'
import type { Definition, RemoteAction } from '../definition.ts'

/** Three steps, one of which takes place at a gateway (`charge`); the pivot is local. */
export const localPivotExample: Definition<null> = defineSaga<null>('local-pivot', 1)
  .compensatable('reserve', { do: remote('stock.reserve.v1'), undo: remote('stock.release.v1') })
  .compensatable('charge', { do: remote('payment.capture.v1'), undo: remote('payment.refund.v1') })
  .pivot('confirm', { do: { kind: 'local', action: 'order.confirm' } })
  .deadline({ minutes: 5 })
  .build()

/** One step of each kind, all of them elsewhere. */
export const remotePivotExample: Definition<null> = defineSaga<null>('remote-pivot', 1)
  .compensatable('book', { do: remote('seat.book.v1'), undo: remote('seat.free.v1') })
  .pivot('pay', { do: remote('trip.pay.v1'), fence: remote('trip.never-pay.v1') })
  .retriable('tell', { do: remote('trip.tell.v1') })
  .deadline({ minutes: 5 })
  .build()

function remote(command: string): RemoteAction<null> {
  return { kind: 'remote', command, payload: () => null }
}
