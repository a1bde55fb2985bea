import { expect, test } from 'vitest'
import { conditionColumns, tableAccesses } from './explain-plans.ts'

test.each([
  ['((id = u.id) AND ((step)::text = u.step))', ['id', 'step']],
  ['((transport = $1) AND (id > $2))', ['transport', 'id']],
  ['(id = ANY ($1))', ['id']],
  ['((id = u.saga_id) AND ("order" = (u.step)::character varying))', ['id', 'order']],
  ['((name)::character varying = $1)', ['name']],
  ['(due_at <= now())', ['due_at']],
  ['', []],
])('reads the columns that %s compares', (condition, columns) => {
  expect([...conditionColumns(condition)]).toEqual(columns)
})

test('finds the lookup of a bitmap scan in its child and does not count a written table', () => {
  const plan = {
    'Node Type': 'ModifyTable',
    'Relation Name': 'stock',
    Plans: [
      {
        'Node Type': 'Bitmap Heap Scan',
        'Relation Name': 'stock',
        Alias: 's',
        Plans: [
          { 'Node Type': 'Bitmap Index Scan', 'Index Name': 'p', 'Index Cond': '(sku = $1)' },
        ],
      },
    ],
  }
  expect(tableAccesses(plan)).toEqual([
    { table: 'stock', alias: 's', how: 'Bitmap Heap Scan', columns: new Set(['sku']) },
  ])
})
