/** Finds the command of a command line and runs it. Resolves with the exit code, and never rejects for what is expected. */
import { parseArgs } from 'node:util'
import { accountCommands } from './account.ts'
import { addressesOf, createAdminClient } from './admin-client.ts'
import { audit } from './audit.ts'
import { cells, findCell, findCells } from './cells.ts'
import { parseJson, typedAs, type Command, type Options } from './command.ts'
import { deadCommands } from './dead.ts'
import { eventCommands } from './events.ts'
import { explain } from './explain.ts'
import { init } from './init.ts'
import { quality, volume } from './insight.ts'
import { keyCommands } from './key.ts'
import { send } from './send.ts'
import { settings } from './settings.ts'
import { sourceCommands } from './source.ts'
import { status } from './status.ts'
import { storeCommands } from './store.ts'
import { CommandFailed, EXIT, misused, type Terminal } from './terminal.ts'

export const COMMANDS: readonly Command[] = [
  init,
  status,
  cells,
  ...accountCommands,
  ...keyCommands,
  ...sourceCommands,
  send,
  explain,
  quality,
  volume,
  ...eventCommands,
  ...deadCommands,
  ...storeCommands,
  audit,
  settings,
]

export async function runCommandLine(words: readonly string[], terminal: Terminal): Promise<number> {
  const [first = 'help', ...rest] = words
  if (first === 'help' && rest.length > 0) return runCommandLine([...rest, '--help'], terminal)
  if (first === 'help' || first === '--help' || first === '-h') {
    if (words.length > 0) terminal.print(renderUsage(COMMANDS))
    else terminal.report(renderUsage(COMMANDS))
    return words.length > 0 ? EXIT.done : EXIT.usage
  }
  if (first === '--version') {
    terminal.print(`pinrelay ${terminal.version}`)
    return EXIT.done
  }
  try {
    return await run(words, terminal)
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error
    const { message, code, exitCode } = error
    terminal.report(
      words.includes('--json') ? JSON.stringify({ error: { code, message } }) : asTyped(message, terminal),
    )
    return exitCode
  }
}

async function run(words: readonly string[], terminal: Terminal): Promise<number> {
  const command = COMMANDS.find(({ name }) => words.slice(0, name.split(' ').length).join(' ') === name)
  if (command === undefined) {
    const family = COMMANDS.filter(({ name }) => name.split(' ')[0] === words[0])
    // The words are never quoted: a token may be among them.
    if (family.length === 0) throw misused('There is no such command; relay --help lists them all.')
    if (!words.includes('--help') && !words.includes('-h'))
      throw misused(`The command is not complete: one of ${family.map(({ name }) => name).join(', ')}.`)
    terminal.print(renderUsage(family))
    return EXIT.done
  }
  const { positionals, values } = parse(command, words.slice(command.name.split(' ').length))
  const { json: isJson, help, cell, ...given } = values as Given
  if (help === true) {
    terminal.print(renderUsage([command]))
    return EXIT.done
  }
  checkGiven(command, positionals.length, given)
  const options = Object.fromEntries(
    Object.entries(given).map(([option, value]) => [option, readOption(command, option, value)]),
  ) as Options
  const admins = addressesOf(terminal.environment).map((url) => createAdminClient(terminal, url))
  const chosen = typeof cell === 'string' ? findCell(await findCells(admins), cell).admin : undefined
  const result = await command.run({
    positionals,
    options,
    isJson: isJson === true,
    get admin() {
      if (chosen !== undefined || admins.length === 1) return chosen ?? admins[0]!
      throw misused('ADMIN_URL names several cells: say which, with --cell NAME.')
    },
    admins,
    terminal,
  })
  if (result === undefined) return EXIT.done
  const { answer, text, note, isPartial } = result
  terminal.print(isJson === true ? JSON.stringify(answer, null, 2) : asTyped(text, terminal))
  if (note) terminal.report(note)
  return isPartial === true ? EXIT.partly : EXIT.done
}

const NAMED = new RegExp(`\\brelay (${COMMANDS.map(({ name }) => name).join('|')}|--help)\\b`, 'g')

/** The commands that a text names, as they are typed here. */
const asTyped = (text: string, terminal: Terminal) => text.replaceAll(NAMED, `${typedAs(terminal)} $1`)

type Given = Readonly<Record<string, string | boolean | undefined>>

/** What is wrong is never quoted: a token may be among the words. */
function checkGiven({ name, words }: Command, count: number, given: Given): void {
  const [first = ''] = words.split(' ')
  const hint = name === 'account set' || name === 'init' ? ' A token is read from standard input.' : ''
  const isWanted = /^[A-Z]/.test(first)
  if (first === '[ID]' && count > 1) throw misused(`${name} takes one id at most.${hint}`)
  if (first !== '[ID]' && !first.includes('|--') && count !== Number(isWanted))
    throw misused(`${name} takes ${isWanted ? `one argument, ${first}` : 'no arguments'}.${hint}`)
  for (const [needed, option] of words.replaceAll(/\[[^\]]*\]/g, '').matchAll(NEEDED))
    if (given[option!] === undefined) throw misused(`${name} needs ${needed}.`)
}

/** An option with a value that has no alternative. */
const NEEDED = /(?<![|\w])--([a-z-]+) \w+(?![|\w])/g

/** What was given for an option, as its kind in `words`: N is a number, JSON is parsed. */
function readOption({ words }: Command, option: string, value: Given[string]) {
  if (words.includes(`--${option} JSON`)) return parseJson(String(value), `--${option} takes JSON.`)
  if (!words.includes(`--${option} N]`)) return value
  if (!/^\d{1,15}$/.test(String(value))) throw misused(`--${option} takes a number.`)
  return Number(value)
}

function parse({ name, words }: Command, args: readonly string[]) {
  const declared = words.matchAll(/--([a-z-]+)( [A-Za-z])?/g)
  const options = Object.fromEntries(
    Array.from(declared, ([, option, value]) => [
      option!,
      { type: value === undefined ? ('boolean' as const) : ('string' as const) },
    ]),
  )
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...options,
        json: { type: 'boolean' },
        cell: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    // Its texts name options, never what was given for one.
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (!code.startsWith('ERR_PARSE_ARGS')) throw error
    const [, option = 'an option'] = OPTION.exec((error as Error).message) ?? []
    throw misused(
      `${name}: ${option} ${code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' ? 'is unknown' : 'lacks its value, or takes none'}; --help shows them.`,
    )
  }
}

/** What may be shown of an option that is wrong: no token has this form. */
const OPTION = /^(?:Unknown o|O)ption '(--?[a-z][a-z-]{0,30})[' ]/

const USAGE_COLUMNS = 100

/** Lines of at most USAGE_COLUMNS, broken at spaces that are not within brackets. */
function wrap(text: string, indent: string, next = indent): string[] {
  const lines = [indent]
  for (const word of text.match(/(?:\[[^\]]*\]|\S)+/g) ?? []) {
    const line = lines.at(-1)!
    if (line.trim() !== '' && line.length + 1 + word.length > USAGE_COLUMNS) lines.push(next + word)
    else lines[lines.length - 1] = line.trim() === '' ? line + word : `${line} ${word}`
  }
  return lines
}

function renderUsage(commands: readonly Command[]): string {
  const lines = commands.flatMap(({ name, words, does }) => [
    ...wrap(`${name} ${words}`.trimEnd(), '  ', '    '),
    ...wrap(does, '      '),
  ])
  return `usage: relay COMMAND [--json] [--cell NAME], relay --version

${lines.join('\n')}

environment:
  ADMIN_URL     where the admin port is (without it: ADMIN_HOST and ADMIN_PORT, or http://127.0.0.1:8081); of several
                cells a comma list, one address each, all with the same ADMIN_TOKEN; --cell NAME then says which
  ADMIN_TOKEN   the admin token; without it, the one that the relay keeps beside the store of DATABASE_URL
  RELAY_URL     where send posts to (without it: HOST and PORT, or http://127.0.0.1:8080)
  RELAY_KEY     the relay key that it posts with

exit codes: 0 done; 1 refused, or nothing answers; 2 the command line is wrong; 3 done in part: some events are
invalid, some token does not work, posts are refused, or something needs a person

With --json a failure's last line on standard error is {"error": {"code", "message"}}.`
}
