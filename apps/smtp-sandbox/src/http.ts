import { problemSchema, queryNumber } from '@edp/runtime/http'
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Mail, MailFile } from './mail-file.ts'
import type { Faults } from './smtp.ts'

const shownMax = 200

const mailView = z.strictObject({
  at: z.string(),
  to: z.array(z.string()),
  subject: z.string(),
  text: z.string(),
  notificationId: z.string().nullable(),
})
const mailList = z.strictObject({
  count: z.int(),
  duplicates: z.int().describe('e-mails of a notification that had come before'),
  mails: z.array(mailView).describe('the newest first'),
})
const listQuery = z.strictObject({
  to: z.string().optional(),
  notificationId: z.string().optional(),
  limit: queryNumber(1, 100_000).default(100),
})
const addressPath = z.strictObject({ address: z.string() })

/** Every route: a page for people, the same for programs, and what ends the fault of an address. */
export const routes: FastifyPluginCallbackZod<{ mails: MailFile; faults: Faults }> = (
  app,
  { mails, faults },
  done,
) => {
  app.get('/', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(page(mails.mails)),
  )
  app.get(
    '/mails',
    {
      schema: {
        summary: 'E-mails that were taken',
        querystring: listQuery,
        response: { 200: mailList, 400: problemSchema },
      },
    },
    async ({ query: { to, notificationId, limit } }) => {
      const found = mails.mails.filter(
        (mail) =>
          (to === undefined || mail.to.includes(to)) &&
          (notificationId === undefined || mail.notificationId === notificationId),
      )
      return {
        count: found.length,
        duplicates: duplicatesOf(found).size,
        mails: found.slice(-limit).toReversed(),
      }
    },
  )
  app.post(
    '/addresses/:address/repair',
    {
      schema: {
        summary: 'Lets an address that refuses or waits take e-mails like any other',
        params: addressPath,
        response: { 200: z.strictObject({ address: z.string() }), 400: problemSchema },
      },
    },
    async ({ params: { address } }) => {
      faults.repaired.add(address)
      return { address }
    },
  )
  done()
}

function duplicatesOf(mails: readonly Mail[]): ReadonlySet<Mail> {
  const seen = new Set<string>()
  const duplicates = new Set<Mail>()
  for (const mail of mails) {
    if (mail.notificationId === null) continue
    if (seen.has(mail.notificationId)) duplicates.add(mail)
    seen.add(mail.notificationId)
  }
  return duplicates
}

function page(mails: readonly Mail[]): string {
  const duplicates = duplicatesOf(mails)
  const rows = mails
    .slice(-shownMax)
    .toReversed()
    .map((mail) => {
      const { at, to, subject, text, notificationId } = mail
      const twice = duplicates.has(mail) ? ' class="twice"' : ''
      const cells = [at, to.join(', '), subject, notificationId ?? ''].map(
        (cell) => `<td>${escapeHtml(cell)}</td>`,
      )
      return `<tr${twice}>${cells.join('')}<td><pre>${escapeHtml(text)}</pre></td></tr>`
    })
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>E-mails</title>
<style>body{font:14px sans-serif}td,th{text-align:left;vertical-align:top;padding:2px 8px}.twice{background:#fcc}pre{margin:0}</style>
<h1>${mails.length} e-mails, ${duplicates.size} of them a second time</h1>
<table><tr><th>at</th><th>to</th><th>subject</th><th>notification</th><th>text</th></tr>
${rows.join('\n')}
</table></html>`
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
