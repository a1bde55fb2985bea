import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { z } from 'zod'
import { repositoryRoot } from '../src/stack-settings.ts'
import { docker } from './docker.ts'

const run = promisify(execFile)

const buildable = z.object({
  services: z.record(
    z.string(),
    z.object({ image: z.string().optional(), build: z.unknown().optional() }),
  ),
})

/** An image of ours. */
export interface Image {
  name: string
  bytes: number
}

/** Builds the image of every app, or of some, as docker-compose.yml of that folder says, and gives their sizes. */
export async function buildImages(
  version: string,
  {
    folder = repositoryRoot,
    services = [],
  }: { folder?: string; services?: readonly string[] } = {},
): Promise<Image[]> {
  const env = {
    COMPOSE_PROFILES: 'app',
    EDP_VERSION: version,
    EDP_REVISION: await revision(),
  }
  const compose = [
    'compose',
    '--project-directory',
    folder,
    '--file',
    `${folder}/docker-compose.yml`,
  ]
  await docker([...compose, 'build', ...services], env)
  const { stdout } = await docker([...compose, 'config', '--format', 'json'], env)
  const names = Object.entries(buildable.parse(JSON.parse(stdout)).services).flatMap(
    ([service, { image, build }]) => {
      const isWanted = services.length === 0 || services.includes(service)
      return isWanted && image !== undefined && build !== undefined ? [image] : []
    },
  )
  return await Promise.all(names.toSorted().map(sizeOf))
}

/** Deletes the images of a version. */
export async function removeImages(version: string): Promise<void> {
  const { stdout } = await docker(['image', 'ls', '--format', '{{.Repository}}:{{.Tag}}'])
  const ours = stdout
    .split('\n')
    .filter((name) => name.startsWith('edp/') && name.includes(`:${version}`))
  if (ours.length > 0) await docker(['image', 'rm', '--force', ...ours])
}

/** The sizes as lines for people. */
export function formatImages(images: readonly Image[]): string {
  const width = Math.max(...images.map(({ name }) => name.length))
  return images
    .map(({ name, bytes }) => `${name.padEnd(width)}  ${(bytes / 1e6).toFixed(0).padStart(5)} MB`)
    .join('\n')
}

async function sizeOf(name: string): Promise<Image> {
  const { stdout } = await docker(['image', 'inspect', '--format', '{{.Size}}', name])
  return { name, bytes: Number(stdout) }
}

/** The commit that the images say they are from; a folder without a history has none. */
async function revision(): Promise<string> {
  try {
    return (await run('git', ['rev-parse', 'HEAD'], { cwd: repositoryRoot })).stdout.trim()
  } catch {
    return 'unknown'
  }
}
