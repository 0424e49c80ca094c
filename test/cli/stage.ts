/** Runs a command line in this process, with a terminal that tests can look at. */
import { readFile } from 'node:fs/promises'
import { runCommandLine } from '../../src/cli/run.ts'
import { ADMIN_TOKEN, type Guest } from '../support/relay.ts'

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface Line {
  readonly environment?: Readonly<Record<string, string>>
  readonly input?: string
  /** What a person types to the questions, in their order. */
  readonly typed?: readonly string[]
  /** What happens while the command waits. */
  readonly wait?: (ms: number) => Promise<void>
}

/** As a line, in which single quotes hold words with spaces together, or as its words. */
export type Relay = (words: string | readonly string[], line?: Line) => Promise<Ended>

export function createCommandLine(stand?: Guest): Relay {
  return async (words, { environment = {}, input = '', typed = [], wait = async () => {} } = {}) => {
    const [stdout, stderr]: [string[], string[]] = [[], []]
    const answers = typed.values()
    let unread = input
    const code = await runCommandLine(typeof words === 'string' ? split(words) : words, {
      version: '1.2.3',
      environment: {
        ...(stand && {
          ADMIN_URL: stand.relay.adminUrl,
          ADMIN_TOKEN,
          RELAY_URL: stand.relay.publicUrl,
          RELAY_KEY: stand.relayKey,
        }),
        ...environment,
      },
      print: (text) => void stdout.push(text),
      report: (text) => void stderr.push(text),
      ask: async () => answers.next().value ?? '',
      readInput: async () => input,
      readSecret: async () => {
        const secret = unread
        unread = ''
        return secret
      },
      readFile: (path) => readFile(path, 'utf8'),
      wait,
    })
    return { code, stdout: stdout.join('\n'), stderr: stderr.join('\n') }
  }
}

function split(line: string): string[] {
  return (line.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", ''))
}
