import { type Coordination, deadLetterQueue, redriveServices } from '@edp/event-schemas'

/** A consumer as its environment knows it: what it says that it takes, and where it remembers what it took. */
export interface ConsumerView {
  readonly name: string
  readonly database:
    | 'orders'
    | 'inventory'
    | 'payments'
    | 'notifications'
    | 'statistics'
    | 'dead_letters'
  /** The types that it handles, without version: both styles of saga, or one of them. Other facts are none of its business. */
  readonly handles: Readonly<Record<string, Coordination | 'both'>>
  /** A longer body is refused. */
  readonly bodyBytesMax: number
}

/** A topic or queue, without namespace, and who reads it. */
export interface WayIn {
  readonly transport: 'kafka' | 'rabbitmq'
  readonly name: string
  /** RabbitMQ's exchange that leads there. */
  readonly exchange: string
  readonly consumers: readonly [ConsumerView, ...ConsumerView[]]
}

const mebibyte = 1024 * 1024

function view(
  name: string,
  database: ConsumerView['database'],
  handles: ConsumerView['handles'],
): ConsumerView {
  return { name, database, handles, bodyBytesMax: mebibyte }
}

const orders = view('order-service.kafka', 'orders', {
  'payment.captured': 'both',
  'payment.declined': 'both',
  'payment.refunded': 'both',
  'stock.rejected': 'both',
  'stock.released': 'both',
  'stock.reserved': 'both',
  'stock.shipped': 'both',
})
const inventory = view('inventory-service.kafka', 'inventory', {
  'order.placed': 'choreographed',
  'payment.refunded': 'choreographed',
  'order.confirmed': 'both',
})
const payments = view('payment-service.kafka', 'payments', {
  'stock.reserved': 'choreographed',
  'order.cancelling': 'choreographed',
})
const notifications = view('notification-service.kafka', 'notifications', {
  'order.confirmed': 'both',
  'order.cancelled': 'both',
})
const statistics = view('order-statistics.kafka', 'statistics', {
  'order.placed': 'both',
  'order.confirmed': 'both',
  'order.cancelled': 'both',
})
const letters: ConsumerView = {
  ...view('dlq-alerter.kafka', 'dead_letters', {
    'message.dead-lettered': 'both',
    'message.resolved': 'both',
    'message.waiting': 'both',
  }),
  bodyBytesMax: Number.POSITIVE_INFINITY,
}

const databaseOf: Readonly<Record<string, ConsumerView['database']>> = {
  'order-service': 'orders',
  'inventory-service': 'inventory',
  'payment-service': 'payments',
  'notification-service': 'notifications',
  'order-statistics': 'statistics',
}

function topic(name: string, ...consumers: WayIn['consumers']): WayIn {
  return { transport: 'kafka', name, exchange: '', consumers }
}

function queue(exchange: string, name: string, consumer: ConsumerView): WayIn {
  return { transport: 'rabbitmq', name, exchange, consumers: [consumer] }
}

function redrive(service: string): WayIn {
  const database = databaseOf[service]
  if (database === undefined) throw new Error(`where does ${service} keep its messages?`)
  const consumer = view(`${service}.redrive`, database, {
    'message.redrive': 'both',
    'message.discard': 'both',
  })
  return queue('redrive', `${service}.redrive`, consumer)
}

const inventoryCommands = {
  exchange: 'commands',
  name: 'inventory.commands',
  consumer: view('inventory-service.rabbitmq', 'inventory', {
    'stock.reserve': 'orchestrated',
    'stock.release': 'orchestrated',
  }),
}
const paymentCommands = {
  exchange: 'commands',
  name: 'payment.commands',
  consumer: view('payment-service.rabbitmq', 'payments', {
    'payment.capture': 'orchestrated',
    'payment.refund': 'orchestrated',
  }),
}
const sagaReplies = {
  exchange: 'replies',
  name: 'order.saga-replies',
  consumer: view('order-service.rabbitmq', 'orders', {
    'stock.reserve.replied': 'orchestrated',
    'stock.release.replied': 'orchestrated',
    'payment.capture.replied': 'orchestrated',
    'payment.refund.replied': 'orchestrated',
  }),
}

/** What the broker dead-lettered: everything is taken in, whatever it is. */
export const deadLetters = queue(
  deadLetterQueue.exchange,
  deadLetterQueue.name,
  view('dlq-alerter.rabbitmq', 'dead_letters', {}),
)

/** Every topic and every queue that somebody reads. */
export const waysIn: readonly [WayIn, ...WayIn[]] = [
  topic('order.events', inventory, payments, notifications, statistics),
  topic('inventory.events', orders, payments),
  topic('payment.events', orders, inventory),
  topic('dead-letters', letters),
  ...[inventoryCommands, paymentCommands, sagaReplies].flatMap(({ exchange, name, consumer }) => [
    queue(exchange, name, consumer),
    queue(exchange, `${name}.express`, consumer),
  ]),
  ...redriveServices.map(redrive),
  deadLetters,
]
