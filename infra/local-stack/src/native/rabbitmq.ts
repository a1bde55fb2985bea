import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { listens, rabbitmqAnswers } from '../probes.ts'
import type { Settings } from '../settings.ts'
import { layout, type Server } from './server.ts'

const LOOPBACK = '127.0.0.1'

/**
 * Erlang's port mapper, on a port of our own. RabbitMQ would start one by itself, which would outlive it
 * and belong to nobody.
 */
export function epmd(settings: Settings, program: string): Server {
  const port = settings.ports.rabbitmqEpmd
  return {
    name: 'epmd',
    title: 'RabbitMQ port mapper',
    command: program,
    args: ['-address', LOOPBACK, '-port', String(port)],
    env: {},
    cwd: '/',
    config: '',
    ports: [
      { port, setting: 'STACK_RABBITMQ_MANAGEMENT_PORT (the port mapper takes the next one)' },
    ],
    answers: () => listens(port),
    stopSignal: 'SIGTERM',
    prepare: async () => {},
  }
}

/** RabbitMQ with the management plugin. Node, cookie, data and port mapper are its own. */
export function rabbitmq(settings: Settings, program: string): Server {
  const { ports, root, dir, password } = settings
  const data = layout(dir).data('rabbitmq')
  const config = join(data, 'rabbitmq.conf')
  const text = [
    readFileSync(join(root, 'infra/rabbitmq/rabbitmq.conf'), 'utf8'),
    `listeners.tcp.default = ${LOOPBACK}:${ports.rabbitmq}`,
    `management.tcp.ip = ${LOOPBACK}`,
    `management.tcp.port = ${ports.rabbitmqManagement}`,
    'default_user = edp',
    `default_pass = ${password}`,
    '',
  ].join('\n')
  return {
    name: 'rabbitmq',
    title: 'RabbitMQ',
    command: program,
    args: [],
    env: {
      HOME: data, // The Erlang cookie lies here.
      RABBITMQ_NODENAME: 'edp@localhost',
      RABBITMQ_MNESIA_BASE: data,
      RABBITMQ_MNESIA_DIR: join(data, 'node'),
      RABBITMQ_LOGS: '-',
      // Even so it writes small files about upgrades, and crash dumps.
      RABBITMQ_LOG_BASE: data,
      ERL_CRASH_DUMP: join(data, 'erl_crash.dump'),
      RABBITMQ_CONFIG_FILE: config,
      RABBITMQ_ADVANCED_CONFIG_FILE: join(data, 'advanced.config'),
      RABBITMQ_CONF_ENV_FILE: join(data, 'rabbitmq-env.conf'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(root, 'infra/rabbitmq/enabled_plugins'),
      RABBITMQ_DIST_PORT: String(ports.rabbitmqDistribution),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
      ERL_EPMD_ADDRESS: LOOPBACK,
      ERL_EPMD_PORT: String(ports.rabbitmqEpmd),
    },
    cwd: '/',
    config: text,
    ports: [
      { port: ports.rabbitmq, setting: 'STACK_RABBITMQ_PORT' },
      { port: ports.rabbitmqManagement, setting: 'STACK_RABBITMQ_MANAGEMENT_PORT' },
      {
        port: ports.rabbitmqDistribution,
        setting: 'STACK_RABBITMQ_MANAGEMENT_PORT (the Erlang node takes the one after the next)',
      },
    ],
    answers: () => rabbitmqAnswers(LOOPBACK, ports.rabbitmq),
    stopSignal: 'SIGTERM',
    prepare: async () => {
      mkdirSync(data, { recursive: true })
      writeFileSync(config, text, { mode: 0o600 })
      // An empty file instead of none: else the machine's own /etc/rabbitmq is read.
      const empty = join(data, 'rabbitmq-env.conf')
      if (!existsSync(empty)) writeFileSync(empty, '')
    },
  }
}
