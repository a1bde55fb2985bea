import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readSettings } from '../settings.ts'
import { brokerProperties, kafka } from './kafka.ts'

const brokerEnv = new URL('../../../kafka/broker.env', import.meta.url)

describe('brokerProperties', () => {
  it("names the properties as the image does, and lets the stack's own win", () => {
    const text = '# comment\nKAFKA_NODE_ID=1\nKAFKA_LOG_DIRS=/var/lib/kafka\nOTHER=2\n'
    expect(brokerProperties(text, { 'log.dirs': '/data', listeners: 'HOST://:1' })).toBe(
      'node.id=1\nlog.dirs=/data\nlisteners=HOST://:1\n',
    )
  })

  it('takes every setting of the file that the container reads', () => {
    const text = readFileSync(brokerEnv, 'utf8')
    const settings = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    expect(settings.length).toBeGreaterThan(10)
    expect(brokerProperties(text, {}).trimEnd().split('\n')).toHaveLength(settings.length)
  })
})

it("gives the JVM the options of the environment after the stack's own, so that they win", () => {
  const root = fileURLToPath(new URL('../../../..', import.meta.url))
  const settings = readSettings({ STACK_KAFKA_JAVA_OPTIONS: '-Xmx1g -Xint' }, root)
  const { args } = kafka(settings, 'java', 'libraries')
  const jvm = args.slice(0, args.indexOf('kafka.Kafka'))
  expect(jvm.filter((arg) => /^-X(mx|int)/.test(arg))).toEqual(['-Xmx512m', '-Xmx1g', '-Xint'])
})
