import { closeSync, existsSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs'
import { z } from 'zod'

const mail = z.object({
  at: z.iso.datetime(),
  to: z.array(z.string()),
  subject: z.string(),
  text: z.string(),
  /** Of the header X-Notification-Id: two e-mails with the same one are one too many. */
  notificationId: z.string().nullable(),
})
export type Mail = z.infer<typeof mail>

/** Every e-mail that was taken, kept in a file. */
export interface MailFile {
  readonly mails: readonly Mail[]
  /** Keeps an e-mail; it is in the file when this returns, and may be acknowledged. */
  add(mail: Mail): void
  close(): void
}

/** Opens the file and reads what is in it. A last line without its end was never acknowledged and is cut off. */
export function openMailFile(path: string): MailFile {
  const mails: Mail[] = []
  if (existsSync(path)) {
    const bytes = readFileSync(path)
    const end = bytes.lastIndexOf(0x0a) + 1
    if (end < bytes.length) truncateSync(path, end)
    for (const line of bytes.subarray(0, end).toString('utf8').split('\n')) {
      if (line !== '') mails.push(mail.parse(JSON.parse(line)))
    }
  }
  const file = openSync(path, 'a')
  return {
    mails,
    add(one) {
      writeSync(file, `${JSON.stringify(one)}\n`)
      mails.push(one)
    },
    close: () => closeSync(file),
  }
}
