/** The name of this service: `source` of its messages, the prefix of its consumers. */
export const serviceName = 'dlq-alerter'
