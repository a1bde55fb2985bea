/** How this service is called in logs, metrics and on the brokers. */
export const serviceName = 'outbox-relay'
