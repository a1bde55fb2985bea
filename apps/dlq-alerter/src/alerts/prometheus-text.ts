import { excerpt } from './alert.ts'

/** One sample of a metric. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const labelCharsMax = 200

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: -?\d+)?$/
const label = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g

/**
 * Reads the Prometheus text format: the samples whose name `wanted` has. Lines that are none are skipped; values that are no
 * finite numbers too.
 */
export function readSamples(text: string, wanted: ReadonlySet<string>): Sample[] {
  const samples: Sample[] = []
  for (const one of text.split('\n')) {
    const [, name = '', labels = '', number = ''] = line.exec(one.trim()) ?? []
    const value = Number(number)
    if (!wanted.has(name) || number === '' || !Number.isFinite(value)) continue
    samples.push({ name, labels: readLabels(labels), value })
  }
  return samples
}

function readLabels(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(label)].map(([, name = '', value = '']) => [
      name,
      excerpt(unescape(value), labelCharsMax),
    ]),
  )
}

function unescape(text: string): string {
  return text.replaceAll(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
}
