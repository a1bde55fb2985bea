import { describe, expect, it } from 'vitest'
import { localEndpoints, readSettings } from './settings.ts'

const servers = {
  STACK_POSTGRES_ADMIN_URL: 'postgres://admin:secret@db.example:5433/postgres?sslmode=require',
  KAFKA_BROKERS: 'a.example:9092,b.example:9092',
  RABBITMQ_URL: 'amqps://mq.example',
  REDIS_URL: 'redis://cache.example',
}

describe('readSettings', () => {
  it('has defaults for everything', () => {
    const settings = readSettings({}, '/repo')
    expect(settings).toMatchObject({ dir: '/repo/.stack', namespace: 'edp', way: undefined })
    expect(settings.external).toBeUndefined()
    expect(localEndpoints(settings)).toEqual({
      postgresAdminUrl: 'postgres://postgres:edp@127.0.0.1:7432/postgres',
      kafkaBrokers: '127.0.0.1:7092',
      rabbitmqUrl: 'amqp://edp:edp@127.0.0.1:7672',
      redisUrl: 'redis://127.0.0.1:7379',
    })
  })

  it('names every problem at once', () => {
    const read = () => readSettings({ STACK: 'podman', STACK_KAFKA_PORT: '70920' }, '/repo')
    expect(read).toThrow(/STACK:[^]*STACK_KAFKA_PORT: must be below 65536/)
  })

  it("takes more options for Kafka's JVM, and nothing else for one", () => {
    const read = (options: string) => readSettings({ STACK_KAFKA_JAVA_OPTIONS: options }, '/repo')
    expect(read('-Xmx1g  -Xint').kafkaJavaOptions).toEqual(['-Xmx1g', '-Xint'])
    expect(read('').kafkaJavaOptions).toEqual([])
    expect(() => read('Xint')).toThrow(
      /STACK_KAFKA_JAVA_OPTIONS: must be options that begin with -/,
    )
  })

  it('takes servers that are given, unless another way is asked for', () => {
    expect(readSettings(servers, '/repo').external).toMatchObject({
      kafkaBrokers: 'a.example:9092,b.example:9092',
    })
    expect(readSettings({ ...servers, STACK: 'native' }, '/repo').external).toBeUndefined()
  })

  it('says which of the four addresses is missing', () => {
    const incomplete = { ...servers, RABBITMQ_URL: '', REDIS_URL: undefined }
    expect(() => readSettings(incomplete, '/repo')).toThrow(/RABBITMQ_URL, REDIS_URL is missing/)
  })

  it("does not take another program's REDIS_URL for a wish", () => {
    expect(readSettings({ REDIS_URL: 'redis://cache' }, '/repo').external).toBeUndefined()
  })
})
