/** A column of a table: its head, and what it shows of a row. */
export type Column<Row> = readonly [head: string, cell: (row: Row) => string | number | null]

const gap = '  '

/**
 * Rows as aligned columns. Numbers are right-aligned; the last column is cut at the edge of the terminal, where there is one. Nothing but
 * printable characters comes out: what services say is shown, not obeyed.
 */
export function formatTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  width?: number,
): string {
  const cells = rows.map((row) => columns.map(([, cell]) => cell(row)))
  const heads = columns.map(([head]) => head)
  const shown = [heads, ...cells.map((row) => row.map(cellText))]
  const widths = heads.map((_, column) =>
    Math.max(...shown.map((row) => (row[column] ?? '').length)),
  )
  const rightAligned = heads.map((_, column) =>
    cells.every((row) => typeof row[column] === 'number'),
  )
  return shown
    .map((row) =>
      row
        .map((cell, column) =>
          rightAligned[column]
            ? cell.padStart(widths[column] ?? 0)
            : cell.padEnd(widths[column] ?? 0),
        )
        .join(gap)
        .trimEnd(),
    )
    .map((line) => cut(line, width))
    .join('\n')
}

/** Names and values below each other. What is null or empty is left out. */
export function formatFields(
  fields: readonly (readonly [name: string, value: string | number | null | undefined])[],
): string {
  const present = fields.filter(
    ([, value]) => value !== null && value !== undefined && value !== '',
  )
  const width = Math.max(0, ...present.map(([name]) => name.length))
  return present
    .map(([name, value]) => `${name.padEnd(width)}${gap}${printable(String(value))}`)
    .join('\n')
}

/** A text below a heading, indented, with a blank line before it; nothing when there is none. */
export function formatSection(heading: string, body: string): string {
  if (body === '') return ''
  const lines = body.split('\n').map((line) => `  ${printable(line)}`.trimEnd())
  return `\n\n${heading}\n${lines.join('\n')}`
}

/** Text without what would move the cursor or change colours: an error message may carry anything. */
export function printable(given: string): string {
  return given.replace(/[^\P{C}\t]/gu, '·')
}

function cellText(value: string | number | null): string {
  return value === null ? '-' : printable(String(value).replaceAll(/\s+/g, ' '))
}

function cut(line: string, width: number | undefined): string {
  return width !== undefined && line.length > width ? `${line.slice(0, width - 1)}…` : line
}

/** How long ago something was, short: `3m`, `2h`, `5d`. */
export function age(iso: string, nowMs: number = Date.now()): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(iso)) / 1000))
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}
