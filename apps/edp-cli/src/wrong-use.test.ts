import { describe, expect, it } from 'vitest'
import { commands } from './commands.ts'
import { WrongUse } from './failures.ts'
import { helpOf } from './help.ts'
import { editDistance, nearest } from './nearest.ts'
import { parseCommandLine } from './parse.ts'

describe('a wrong command line is told with what was expected', () => {
  it.each([
    [[], 'no command was given'],
    [['leters', 'list'], "'leters' is no command: did you mean 'letters'?"],
    [['letters', 'lst'], "'lst' is no command of 'letters': did you mean 'list'?"],
    [['sagas'], "expected one of list, show, retry, skip, cancel after 'sagas'"],
    [['--json', 'letters'], 'expected a command before --json'],
    [['letters', 'list', '--statsu=open'], 'did you mean --status?'],
    [['letters', 'list', '--status', 'opened'], '--status: expected one of open, redriving'],
    [['letters', 'list', '--status'], '--status expects a value'],
    [['letters', 'list', '--status', '--json'], '--status expects a value, found --json'],
    [['letters', 'list', '--json=yes'], '--json takes no value'],
    [['letters', 'list', '--limit', '0'], '--limit: expected a whole number from 1'],
    [['letters', 'list', 'letter-1'], "'letters list' does not expect 'letter-1'"],
    [['letters', 'list', '--key', 'a', '--key', 'b'], '--key was given twice'],
    [['letters', 'show'], 'LETTER: it is required'],
    [['letters', 'archive', 'a'], '--why: it is required'],
    [['letters', 'archive', '--why', 'x'], 'LETTER: it is required'],
    [['sagas', 'list', '--older-than', 'soon'], 'expected a time such as'],
    [
      ['orders', 'place', 'cup', '--key', 'ü€'],
      '--key: expected 1 to 200 printable characters of Latin-1',
    ],
    [
      ['orders', 'place', 'cup', '--key', 'a\nb'],
      '--key: expected 1 to 200 printable characters of Latin-1',
    ],
    [
      ['orders', 'place', 'cup', '--key='],
      '--key: expected 1 to 200 printable characters of Latin-1',
    ],
    [['orders', 'list', '--url', 'ftp://x'], '--url: expected an http:// or https:// URL'],
    [['help', 'letter'], "did you mean 'letters'?"],
  ])('%j', (words, expected) => {
    const parse = () => parseCommandLine(words, commands)
    expect(parse).toThrow(WrongUse)
    expect(parse).toThrow(expected)
  })
})

describe('names', () => {
  it('counts what has to be changed', () => {
    expect(editDistance('kitten', 'sitting')).toBe(3)
    expect(editDistance('', 'abc')).toBe(3)
    expect(editDistance('same', 'same')).toBe(0)
  })

  it('proposes nothing that is far away', () => {
    expect(nearest('put-bakc', ['dead', 'show', 'put-back'])).toBe('put-back')
    expect(nearest('explode', ['list', 'show'])).toBeUndefined()
  })
})

describe('the help', () => {
  it('names every command, and each has one of its own with all its options', () => {
    const all = helpOf('', commands)
    for (const { name, options } of commands) {
      expect(all).toContain(`  ${name}`)
      const own = helpOf(name, commands)
      expect(own).toContain(`Usage: pnpm edp ${name}`)
      for (const option of Object.keys(options)) expect(own).toContain(`--${option}`)
    }
  })

  it.each([
    [['--help']],
    [['letters', '--help']],
    [['help', 'letters', 'list']],
    [['letters', 'list', '-h']],
  ])('is what %j asks for', (words) => {
    expect(parseCommandLine(words, commands).kind).toBe('help')
  })
})
