import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { kafkaAnswers } from '../probes.ts'
import { progress } from '../progress.ts'
import type { Settings } from '../settings.ts'
import { messageOf, StackError } from '../stack-error.ts'
import { layout, type Server } from './server.ts'

const run = promisify(execFile)

/** The same in docker-compose.yml. Not a random one: Kafka's tool takes an id that begins with '-' for an option. */
const CLUSTER_ID = 'RWRwTG9jYWxTdGFja0thZg'

const JVM = [
  '-Xms256m',
  '-Xmx512m',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-Djava.awt.headless=true',
]

/** One node of Kafka that is broker and controller, from jars in `libraries`. */
export function kafka(settings: Settings, java: string, libraries: string): Server {
  const { ports, root, dir } = settings
  const data = layout(dir).data('kafka')
  const sources = {
    settings: join(root, 'infra/kafka/broker.env'),
    log: join(root, 'infra/kafka/log4j2.properties'),
  }
  const properties = join(data, 'server.properties')
  const log = [`-Dlog4j2.configurationFile=${sources.log}`]
  const classPath = ['-cp', join(libraries, '*')]
  const text = brokerProperties(readFileSync(sources.settings, 'utf8'), {
    listeners: `HOST://127.0.0.1:${ports.kafka},CONTROLLER://127.0.0.1:${ports.kafkaController}`,
    'advertised.listeners': `HOST://127.0.0.1:${ports.kafka}`,
    'inter.broker.listener.name': 'HOST',
    'controller.quorum.voters': `1@127.0.0.1:${ports.kafkaController}`,
    'log.dirs': join(data, 'logs'),
  })
  return {
    name: 'kafka',
    title: 'Kafka',
    command: java,
    args: [...JVM, ...settings.kafkaJavaOptions, ...log, ...classPath, 'kafka.Kafka', properties],
    env: {},
    cwd: '/',
    config: text + readFileSync(sources.log, 'utf8'),
    ports: [
      { port: ports.kafka, setting: 'STACK_KAFKA_PORT' },
      {
        port: ports.kafkaController,
        setting: 'STACK_KAFKA_PORT (the controller takes the next one)',
      },
    ],
    answers: () => kafkaAnswers('127.0.0.1', ports.kafka),
    stopSignal: 'SIGTERM',
    prepare: async () => {
      mkdirSync(data, { recursive: true })
      writeFileSync(properties, text)
      if (existsSync(join(data, 'logs', 'meta.properties'))) return
      progress('Kafka: formatting its empty log folder')
      const format = ['format', '--ignore-formatted', '-t', CLUSTER_ID, '-c', properties]
      try {
        await run(java, ['-Xmx128m', ...log, ...classPath, 'kafka.tools.StorageTool', ...format])
      } catch (error) {
        throw new StackError(`Kafka could not format its log folder: ${messageOf(error)}`)
      }
    },
  }
}

/** Turns the KAFKA_A_B=value lines of the container's environment into a.b=value, and adds `own` over them. */
export function brokerProperties(env: string, own: Readonly<Record<string, string>>): string {
  const properties = new Map<string, string>()
  for (const line of env.split('\n')) {
    const [, name, value] = /^KAFKA_([A-Z_]+)=(.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) continue
    properties.set(name.toLowerCase().replaceAll('_', '.'), value)
  }
  for (const [name, value] of Object.entries(own)) properties.set(name, value)
  return [...properties].map(([name, value]) => `${name}=${value}\n`).join('')
}
