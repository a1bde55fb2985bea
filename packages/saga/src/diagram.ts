import type { Action, Definition, Step } from './definition.ts'
import { unreachable } from './unreachable.ts'

/** The saga as a Mermaid state diagram. */
export function diagram<Context>({ steps }: Definition<Context>): string {
  const lines = ['stateDiagram-v2']
  for (const step of steps) lines.push(...boxesOf(step))
  lines.push(`  [*] --> ${steps[0]?.name ?? 'completed'}`)
  for (const [index, step] of steps.entries()) {
    const next = steps[index + 1]?.name ?? 'completed'
    lines.push(`  ${step.name} --> ${next}: ok`)
    lines.push(...arrowsBack(step, { next, before: undoBefore(steps, index) }))
  }
  lines.push('  completed --> [*]')
  if (steps.some((step) => step.kind !== 'retriable')) lines.push('  compensated --> [*]')
  return `${lines.join('\n')}\n`
}

function boxesOf<Context>(step: Step<Context>): string[] {
  const boxes = [`  state "${step.name}: ${nameOf(step.do)}" as ${step.name}`]
  if (step.kind === 'compensatable') {
    boxes.push(`  state "undo ${step.name}: ${nameOf(step.undo)}" as undo_${step.name}`)
  }
  if (step.kind === 'pivot' && step.fence) {
    boxes.push(`  state "fence ${step.name}: ${nameOf(step.fence)}" as fence_${step.name}`)
  }
  return boxes
}

function arrowsBack<Context>(
  step: Step<Context>,
  { next, before }: { readonly next: string; readonly before: string },
): string[] {
  const { name } = step
  switch (step.kind) {
    case 'compensatable':
      return [
        `  ${name} --> ${before}: refused`,
        `  ${name} --> undo_${name}: deadline, cancel`,
        `  undo_${name} --> ${before}: ok, skipped`,
      ]
    case 'pivot':
      if (!step.fence) return [`  ${name} --> ${before}: refused`]
      return [
        `  ${name} --> ${before}: refused`,
        `  ${name} --> fence_${name}: deadline, cancel`,
        `  fence_${name} --> ${next}: ok`,
        `  fence_${name} --> ${before}: fenced, refused`,
      ]
    case 'retriable':
      return []
    default:
      return unreachable(step)
  }
}

function undoBefore<Context>(steps: readonly Step<Context>[], index: number): string {
  const before = steps[index - 1]
  return before ? `undo_${before.name}` : 'compensated'
}

function nameOf<Context>(action: Action<Context>): string {
  return action.kind === 'remote' ? action.command : `${action.action} (local)`
}
