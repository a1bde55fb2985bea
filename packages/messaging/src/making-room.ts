/** How a class of messages shares the cores with another one of the same consumer. */
export interface Share {
  /** Messages of the class have come. */
  took(): void
  /** How long it rests after a batch that has taken `batchMs`. */
  restMs(batchMs: number): number
}

// What one order makes everybody do is over by then, and the next one that comes begins anew.
const rememberedMs = 1000
// Longer than that is nobody held up: also a batch that has waited for its database ends.
const restMsMax = 1000

/**
 * The shares of express and standard messages. Both have the cores of their host in common with everything else that a message passes
 * on its way, and a backlog of the one class keeps all of these busy: however fast a consumer takes the express ones out of their queue,
 * they would be late. So after each batch the standard class rests, for `restPerBatch` times as long as the batch took, while express
 * messages have come in the last second. It never stops, and it is at full speed when there are none.
 */
export function classShares(
  restPerBatch: number,
  now: () => number = () => performance.now(),
): { readonly express: Share; readonly standard: Share } {
  let expressAt = Number.NEGATIVE_INFINITY
  return {
    express: {
      took: () => {
        expressAt = now()
      },
      restMs: () => 0,
    },
    standard: {
      took: () => undefined,
      restMs: (batchMs) =>
        now() - expressAt < rememberedMs ? Math.min(restMsMax, restPerBatch * batchMs) : 0,
    },
  }
}
