import { createApi, type ServiceUrls } from './api.ts'
import type { AppName } from './app-process.ts'
import type { DatabaseUrls } from './books.ts'
import type { ScenarioContext } from './story.ts'

/** A system as scenarios, loads and books see it, whether its apps run as processes or as containers. */
export interface ReachableSystem {
  /** Where each app answers: the process, or what shares requests out among its containers. */
  readonly urls: Readonly<Record<AppName, string>>
  /** As administrator, for the books and for tests. */
  readonly databases: Required<DatabaseUrls>
  /** Of dlq-alerter, as administrator. */
  readonly deadLettersDatabase: string
  /** Of notification-service, as administrator. */
  readonly notificationsDatabase: string
  readonly gatewayUrl: string
}

/** Where the services of a system answer. */
export function serviceUrls({ urls }: ReachableSystem): ServiceUrls {
  return {
    orders: urls['order-service'],
    inventory: urls['inventory-service'],
    payments: urls['payment-service'],
    gateway: urls['payment-gateway-sandbox'],
    deadLetters: urls['dlq-alerter'],
  }
}

/** What a scenario needs of a system. */
export function sceneOf(system: ReachableSystem): Omit<ScenarioContext, 'coordination' | 'tell'> {
  return {
    api: createApi(serviceUrls(system)),
    deadLettersUrl: system.urls['dlq-alerter'],
    notificationsUrl: system.urls['notification-service'],
    mailsUrl: system.urls['smtp-sandbox'],
    ordersDatabaseUrl: system.databases.orders,
  }
}
