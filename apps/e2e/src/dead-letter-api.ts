import { z } from 'zod'
import { request } from './http-client.ts'

const letter = z.object({
  letterId: z.string(),
  consumer: z.string(),
  type: z.string().nullable(),
  key: z.string().nullable(),
  reason: z.string(),
  error: z.object({ code: z.string(), message: z.string() }),
  groupId: z.string(),
  status: z.enum(['open', 'redriving', 'resolved', 'archived']),
  outcome: z.string().nullable(),
})
export type Letter = z.infer<typeof letter>

const letterDetail = letter.extend({ content: z.object({ body: z.string() }) })
export type LetterDetail = z.infer<typeof letterDetail>

const lettersPage = z.object({ letters: z.array(letter) })

const alert = z.object({
  rule: z.string(),
  summary: z.string(),
  path: z.string(),
  runbook: z.string(),
})
export type Alert = z.infer<typeof alert>
const alertsPage = z.object({ alerts: z.array(alert) })

/** What dlq-alerter offers to operators. `baseUrl` is where it answers. */
export function createDeadLetterApi(baseUrl: string) {
  const by = { by: 'grace', why: 'a faulty release was rolled back' }
  const letterUrl = (letterId: string): string => `${baseUrl}/letters/${letterId}`
  return {
    /** The dead letters of an order; an order's id is the key of its messages. */
    lettersOf: async (orderId: string): Promise<Letter[]> =>
      (await request(lettersPage, 'GET', `${baseUrl}/letters?key=${orderId}`)).letters,
    letters: async (status: Letter['status']): Promise<Letter[]> =>
      (await request(lettersPage, 'GET', `${baseUrl}/letters?status=${status}&limit=100`)).letters,
    letter: (letterId: string): Promise<LetterDetail> =>
      request(letterDetail, 'GET', letterUrl(letterId)),
    firingAlerts: async (): Promise<Alert[]> =>
      (await request(alertsPage, 'GET', `${baseUrl}/alerts?status=firing`)).alerts,
    correct: async (letterId: string, body: string): Promise<void> => {
      await request(z.unknown(), 'PUT', `${letterUrl(letterId)}/body`, { body: { body, ...by } })
    },
    redrive: async (letterId: string): Promise<void> => {
      await request(z.unknown(), 'POST', `${letterUrl(letterId)}/redrive`, { body: by })
    },
  }
}
export type DeadLetterApi = ReturnType<typeof createDeadLetterApi>
