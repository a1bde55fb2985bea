import { randomInt } from 'node:crypto'

/**
 * Reads the value of an option.
 * @throws Error that names the option and what was given, when that is not a whole number above 0
 */
export function wholeNumber(option: string, given: string): number {
  if (!/^[1-9]\d{0,9}$/.test(given)) throw new Error(`${option} expects a number, given ${given}`)
  return Number(given)
}

/** The seed that was given, else one by chance. @throws Error as `wholeNumber` */
export function seedFrom(given: string | undefined): number {
  return given === undefined ? randomInt(1, 2 ** 31) : wholeNumber('--seed', given)
}
