import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { progress, secondsSince } from '../progress.ts'
import type { Settings } from '../settings.ts'
import { messageOf, StackError } from '../stack-error.ts'
import { installPackages } from './packages.ts'
import { layout } from './server.ts'

const run = promisify(execFile)

/** The programs that the native way needs beside Postgres, each by its path. */
export type Software = {
  java: string
  rabbitmqServer: string
  epmd: string
  redisServer: string
  kafkaLibraries: string
}

type Program = { title: string; package: string; find: () => Promise<string | undefined> }

const JAVA_MAJOR_MIN = 17

const programs = {
  java: {
    title: `a Java ${JAVA_MAJOR_MIN} or newer runtime`,
    package: 'java',
    find: () => findJava(),
  },
  rabbitmqServer: {
    title: 'RabbitMQ',
    package: 'rabbitmq-server',
    // Debian's own command refuses other users than its own, the script behind it does not.
    find: async () => onPath('rabbitmq-server', ['/usr/lib/rabbitmq/bin']),
  },
  epmd: {
    title: "RabbitMQ's Erlang",
    package: 'rabbitmq-server',
    find: async () => onPath('epmd', []),
  },
  redisServer: {
    title: 'Redis',
    package: 'redis-server',
    find: async () => onPath('redis-server', []),
  },
} satisfies Record<string, Program>

const maven: Program = {
  title: 'Maven',
  package: 'maven',
  find: async () => onPath('mvn', []),
}

/** Finds the programs; installs what is missing where that is allowed, or says what to install. */
export async function software(settings: Settings): Promise<Software> {
  const kafkaLibraries = kafkaFolder(settings)
  const wanted: Program[] = Object.values(programs)
  if (!existsSync(kafkaLibraries)) wanted.push(maven)
  const missing = await filterMissing(wanted)
  if (missing.length > 0) {
    await installPackages({
      titles: missing.map(({ title }) => title),
      packages: [...new Set(missing.map((program) => program.package))],
      allowed: settings.install,
    })
    const still = await filterMissing(missing)
    if (still.length > 0) {
      throw new StackError(
        `Still not on the PATH after the installation: ${still.map(({ title }) => title).join(', ')}.`,
      )
    }
  }
  if (!existsSync(kafkaLibraries)) await fetchKafka(settings, kafkaLibraries)
  const [java, rabbitmqServer, epmd, redisServer] = await Promise.all([
    found(programs.java),
    found(programs.rabbitmqServer),
    found(programs.epmd),
    found(programs.redisServer),
  ])
  return { java, rabbitmqServer, epmd, redisServer, kafkaLibraries }
}

async function filterMissing(wanted: readonly Program[]): Promise<Program[]> {
  const paths = await Promise.all(wanted.map((program) => program.find()))
  return wanted.filter((_, index) => paths[index] === undefined)
}

async function found(program: Program): Promise<string> {
  const path = await program.find()
  if (path === undefined) throw new StackError(`Not found: ${program.title}.`)
  return path
}

function onPath(name: string, before: readonly string[]): string | undefined {
  const folders = [...before, ...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

async function findJava(): Promise<string | undefined> {
  const home = process.env['JAVA_HOME']
  const java = onPath('java', home === undefined || home === '' ? [] : [join(home, 'bin')])
  if (java === undefined) return undefined
  try {
    // The release file of its folder says the same as `java -version`, without starting a JVM.
    const release = join(dirname(dirname(realpathSync(java))), 'release')
    const text = existsSync(release)
      ? readFileSync(release, 'utf8')
      : (await run(java, ['-version'])).stderr
    return (javaMajor(text) ?? 0) >= JAVA_MAJOR_MIN ? java : undefined
  } catch {
    return undefined // macOS has a /usr/bin/java that only says that there is no Java.
  }
}

/** The major version in what `java -version` prints or the release file holds; before 9 it was the second number. */
export function javaMajor(text: string): number | undefined {
  const [, first, second] = /version(?: |=)"(\d+)(?:\.(\d+))?/i.exec(text) ?? []
  return first === '1' ? Number(second) : first === undefined ? undefined : Number(first)
}

/** A folder for each state of the pom, so that a new Kafka version is fetched anew. */
function kafkaFolder(settings: Settings): string {
  const pom = readFileSync(join(settings.root, 'infra/kafka/pom.xml'))
  const hash = createHash('sha256').update(pom).digest('hex').slice(0, 12)
  return layout(settings.dir).software(`kafka-${hash}`)
}

async function fetchKafka(settings: Settings, folder: string): Promise<void> {
  const startedMs = performance.now()
  progress('fetching Kafka from Maven Central (92 jars, 54 MB; once) ...')
  const draft = `${folder}.new`
  rmSync(draft, { recursive: true, force: true })
  mkdirSync(draft, { recursive: true })
  const pom = join(settings.root, 'infra/kafka/pom.xml')
  const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${draft}`]
  try {
    await run('mvn', ['--batch-mode', '--quiet', '-f', pom, ...goal])
  } catch (error) {
    throw new StackError(
      `Maven could not fetch Kafka: is Maven Central, or the mirror in ~/.m2/settings.xml, ` +
        `reachable?\n${messageOf(error)}`,
    )
  }
  renameSync(draft, folder)
  progress(`fetched Kafka in ${secondsSince(startedMs)}`)
}
