import { WrongUse } from './failures.ts'

/** The services that the command line asks, each with its port in a normal deployment and the setting that names another place. */
export const services = {
  'order-service': { port: 7101, setting: 'EDP_ORDER_SERVICE_URL' },
  'inventory-service': { port: 7102, setting: 'EDP_INVENTORY_SERVICE_URL' },
  'payment-service': { port: 7103, setting: 'EDP_PAYMENT_SERVICE_URL' },
  'outbox-relay': { port: 7104, setting: 'EDP_OUTBOX_RELAY_URL' },
  'dlq-alerter': { port: 7105, setting: 'EDP_DLQ_ALERTER_URL' },
  'notification-service': { port: 7106, setting: 'EDP_NOTIFICATION_SERVICE_URL' },
  'payment-gateway-sandbox': { port: 7107, setting: 'EDP_PAYMENT_GATEWAY_URL' },
  'order-statistics': { port: 7108, setting: 'EDP_ORDER_STATISTICS_URL' },
} as const
export type ServiceName = keyof typeof services
export const serviceNames = [
  'order-service',
  'inventory-service',
  'payment-service',
  'outbox-relay',
  'dlq-alerter',
  'notification-service',
  'payment-gateway-sandbox',
  'order-statistics',
] as const satisfies readonly ServiceName[]

/**
 * Where a service answers: as the environment says, else on this machine at its port.
 * @throws WrongUse when the environment says something else than a URL
 */
export function urlOf(
  service: ServiceName,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const { port, setting } = services[service]
  const given = env[setting]
  // An empty variable is how shells say "not set".
  if (given === undefined || given === '') return `http://127.0.0.1:${port}`
  return httpUrl(given, setting)
}

/**
 * The URL that an option or a setting gives.
 * @throws WrongUse when it is none
 */
export function httpUrl(given: string, where: string, command?: string): string {
  if (/^https?:$/.test(URL.parse(given)?.protocol ?? '')) return given
  throw new WrongUse(`${where}: expected an http:// or https:// URL, found ${given}`, command)
}
