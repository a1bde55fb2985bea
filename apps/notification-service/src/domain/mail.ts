import { unreachable } from '@edp/runtime'
import type { Content, Item } from './notification.ts'

/** An e-mail, as text. */
export interface Mail {
  readonly subject: string
  readonly text: string
}

const reasons = {
  'out-of-stock': 'something that you ordered is out of stock',
  'payment-declined': 'your payment was declined',
  'customer-request': 'you asked for it',
  'deadline-passed': 'it could not be completed in time',
} as const

/** What the e-mail of a notification says. */
export function mailOf(content: Content, orderId: string | null): Mail {
  switch (content.kind) {
    case 'confirmation':
      return {
        subject: `Your order ${orderId} is confirmed`,
        text: `Dear ${content.customerId},\n\nwe are sending you\n${itemList(content.items)}\nfor ${money(content.amountMinor, content.currency)}.\n`,
      }
    case 'cancellation':
      return {
        subject: `Your order ${orderId} is cancelled`,
        text: `Dear ${content.customerId},\n\nyour order is cancelled, since ${reasons[content.reason]}. You pay nothing for it.\n`,
      }
    case 'review-request':
      return {
        subject: `How do you like what you ordered?`,
        text: `Dear ${content.customerId},\n\nwhat do you think of\n${itemList(content.items)}\nfrom your order ${orderId}?\n`,
      }
    case 'digest':
      return {
        subject: `Notifications until ${content.until}`,
        text: `From ${content.since} to ${content.until}:\n${content.counts
          .map(({ kind, status, count }) => `  ${kind} ${status}: ${count}\n`)
          .join('')}`,
      }
    default:
      return unreachable(content)
  }
}

function itemList(items: readonly Item[]): string {
  return items.map(({ sku, quantity }) => `  ${quantity} × ${sku}\n`).join('')
}

function money(amountMinor: number, currency: string): string {
  const { maximumFractionDigits: digits = 2 } = new Intl.NumberFormat('en', {
    style: 'currency',
    currency,
  }).resolvedOptions()
  return `${(amountMinor / 10 ** digits).toFixed(digits)} ${currency}`
}
