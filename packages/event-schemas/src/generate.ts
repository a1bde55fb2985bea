import { existsSync, readFileSync, rmSync, writeFileSync, mkdirSync, readdirSync } from 'node:fs'
import { z } from 'zod'
import { incompatibilities } from './compatibility.ts'
import { contracts } from './contracts.ts'
import { bodySchema, documents, schemaFile } from './documents.ts'

// `pnpm --filter @edp/event-schemas generate`: writes what is committed in `generated/`. The schemas that lie there are
// what other services rely on, so nothing is written when one of them would change incompatibly.

const folder = new URL('../generated/', import.meta.url)
const object = z.record(z.string(), z.unknown())

const problems = contracts.flatMap((contract) => {
  const file = new URL(schemaFile(contract), folder)
  if (!existsSync(file)) return []
  const committed = object.parse(JSON.parse(readFileSync(file, 'utf8')))
  return incompatibilities(committed, bodySchema(contract), contract.type)
})
if (problems.length > 0) {
  process.stderr.write(`make a new version, these changes break others:\n${problems.join('\n')}\n`)
  process.exit(1)
}

const wanted = documents(contracts)
mkdirSync(new URL('schemas/', folder), { recursive: true })
for (const [name, document] of wanted) {
  writeFileSync(new URL(name, folder), `${JSON.stringify(document, null, 2)}\n`)
}
for (const name of readdirSync(new URL('schemas/', folder))) {
  if (!wanted.has(`schemas/${name}`)) rmSync(new URL(`schemas/${name}`, folder))
}
