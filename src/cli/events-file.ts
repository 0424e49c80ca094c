/** Events of a file: a post as a storefront sends it, a JSON array, or one event per line (NDJSON). `-` is standard input. */
import { resolve } from 'node:path'
import { misused, type Terminal } from './terminal.ts'

/** For `--help`. */
export const EVENTS_FILE =
  'FILE is a post as a storefront sends it, a JSON list of events, or one event a line; - is standard input'

export async function readEventsFile(terminal: Terminal, path: string): Promise<readonly unknown[]> {
  const text = await readTextFile(terminal, path)
  const events = parseWhole(text) ?? parseLines(text)
  if (events.length === 0) throw misused('There are no events in it.')
  return events
}

export async function readTextFile(terminal: Terminal, path: string): Promise<string> {
  const read =
    path === '-'
      ? await terminal.readInput()
      : await terminal.readFile(resolveFile(terminal.environment, path))
  const text = read.startsWith(BYTE_ORDER_MARK) ? read.slice(BYTE_ORDER_MARK.length) : read
  if (isUtf16(text)) {
    throw misused('The file is in UTF-16 (PowerShell and Excel write it). Save it as UTF-8, and try again.')
  }
  return text
}

/** Windows programs begin UTF-8 files with it; JSON must not. */
const BYTE_ORDER_MARK = '\ufeff'

/** UTF-16 that was read as UTF-8: every other character is a zero, and the byte order mark two replacement characters. */
function isUtf16(text: string): boolean {
  return /^(?:\ufffd\ufffd|[^\0]?\0)/.test(text)
}

/** `npm run relay` runs in the folder of package.json, and passes on in which one it was typed. */
function resolveFile(environment: Terminal['environment'], path: string): string {
  const typedIn = environment['npm_lifecycle_event'] === 'relay' ? environment['INIT_CWD'] : undefined
  return typedIn === undefined ? path : resolve(typedIn, path)
}

function parseWhole(text: string): readonly unknown[] | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (Array.isArray(value)) return value as readonly unknown[]
  if (typeof value !== 'object' || value === null) return []
  const data: unknown = 'data' in value ? value.data : undefined
  return Array.isArray(data) ? (data as readonly unknown[]) : [value]
}

/** What is wrong is named by its line, never quoted: it is customer data. */
function parseLines(text: string): readonly unknown[] {
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return []
    try {
      return [JSON.parse(line) as unknown]
    } catch {
      throw misused(`Line ${index + 1} is not JSON.`)
    }
  })
}
