import type { Row } from './types.ts'

/** The rows as a table for people. */
export function formatTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.benchmark,
    describe(row.settings),
    row.metric,
    formatValue(row.value),
    row.unit,
  ])
  const widths = [0, 1, 2, 3, 4].map((column) =>
    Math.max(...cells.map((line) => line[column]?.length ?? 0)),
  )
  return cells
    .map((line) =>
      line
        .map((cell, column) => {
          const width = widths[column] ?? 0
          return column === 3 ? cell.padStart(width) : cell.padEnd(width)
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Settings as text: `load: saturated, connections: 200`. */
export function describe(settings: Row['settings']): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}: ${value}`)
    .join(', ')
}

/** Enough digits to compare and no more. */
export function formatValue(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

const barHeight = 18
const labelWidth = 520
const barWidth = 360

/** The rows as bars, one group for each unit, since figures of two units share no scale. */
export function plot(rows: readonly Row[]): string {
  const groups = Map.groupBy(rows, (row) => row.unit)
  const parts: string[] = []
  let y = 20
  for (const [unit, group] of groups) {
    const largest = Math.max(...group.map((row) => row.value), Number.MIN_VALUE)
    parts.push(
      `<text x="10" y="${y}" font-weight="bold">${escape(unit || 'ratio or count')}</text>`,
    )
    y += 8
    for (const row of group) {
      parts.push(bar(row, y, (Math.max(0, row.value) / largest) * barWidth))
      y += barHeight
    }
    y += 24
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${labelWidth + barWidth + 100}" height="${y}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${parts.join('\n')}
</svg>
`
}

function bar(row: Row, y: number, width: number): string {
  const label = [row.benchmark, describe(row.settings), row.metric].filter(Boolean).join(' · ')
  return `<text x="${labelWidth - 8}" y="${y + 13}" text-anchor="end">${escape(label)}</text>
<rect x="${labelWidth}" y="${y + 2}" width="${width.toFixed(1)}" height="${barHeight - 4}" fill="#4878a8"/>
<text x="${labelWidth + width + 6}" y="${y + 13}">${formatValue(row.value)}</text>`
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
