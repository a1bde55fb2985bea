import { createHash } from 'node:crypto'

const localPart = /^[a-z0-9_+-]+(\.[a-z0-9_+-]+)*$/
const localPartLengthMax = 64

/**
 * The e-mail address of a customer. Facts carry the customer's id and no address, so it is made of that: `<id>@<domain>`, and
 * for an id that cannot stand before an @, a hash of it, so that two customers never share an address. Ids that differ in case
 * only are two customers, and mail servers may not tell them apart: only lower case is taken as it is.
 */
export function customerAddress(customerId: string, domain: string): string {
  const fits = localPart.test(customerId) && customerId.length <= localPartLengthMax
  const hash = (): string => createHash('sha256').update(customerId).digest('hex').slice(0, 32)
  return `${fits ? customerId : `customer-${hash()}`}@${domain}`
}
