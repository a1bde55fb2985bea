import { alertCommands } from './alerts.ts'
import type { Command } from './command.ts'
import { editLetter } from './edit-letter.ts'
import { groupCommands } from './groups.ts'
import { letterCommands } from './letters.ts'
import { orderCommands } from './orders.ts'
import { outboxCommands } from './outbox.ts'
import { paymentCommands } from './payments.ts'
import { redriveLetters } from './redrive-letters.ts'
import { redriveCommands } from './redrives.ts'
import { sagaCommands } from './sagas.ts'
import { stackCommands } from './stack.ts'

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  ...groupCommands,
  ...letterCommands,
  editLetter,
  redriveLetters,
  ...redriveCommands,
  ...sagaCommands,
  ...orderCommands,
  ...outboxCommands,
  ...paymentCommands,
  ...alertCommands,
  ...stackCommands,
]
