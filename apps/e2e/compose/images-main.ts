import { buildImages, formatImages } from './images.ts'

const usage = `Usage: pnpm images [VERSION]

Builds the image of every app from infra/docker/Dockerfile and prints their sizes. VERSION is their tag (default dev).`

const [version = 'dev'] = process.argv.slice(2)
if (version.startsWith('-')) {
  console.log(usage)
  process.exitCode = version === '--help' || version === '-h' ? 0 : 2
} else {
  const startedAt = Date.now()
  try {
    console.log(formatImages(await buildImages(version)))
    console.log(`built in ${Math.round((Date.now() - startedAt) / 1000)} s`)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
