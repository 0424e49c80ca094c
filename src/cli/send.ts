/** `send FILE`: posts events to the public port, as a storefront would; for trying things out, and for what was left over. */
import type { EventAnswer } from '../ingest/answers.ts'
import { addressOf } from './admin-client.ts'
import { textOf, type Command } from './command.ts'
import { EVENTS_FILE, readEventsFile } from './events-file.ts'
import { CommandFailed, misused, type Terminal } from './terminal.ts'

interface PostAnswer {
  readonly message?: string
  readonly events?: readonly EventAnswer[]
  readonly details?: { readonly events?: readonly EventAnswer[] }
}

const EVENTS_PER_POST = 1000
const MOST_TRIES = 10
const LONGEST_PAUSE_S = 60

export const send: Command = {
  name: 'send',
  words: 'FILE --account ID [--test]',
  does: `posts events to RELAY_URL with RELAY_KEY; what fails is listed by its place in the file. Safe to repeat: the same event ids are not sent twice. ${EVENTS_FILE}`,
  async run({ positionals: [file = ''], options, terminal }) {
    const relayKey = terminal.environment['RELAY_KEY']
    if (!relayKey) throw misused('RELAY_KEY must be set: key create makes one.')
    const events = await readEventsFile(terminal, file)
    const url = new URL(
      `/v5/ad_accounts/${encodeURIComponent(textOf(options['account'])!)}/events${options['test'] === true ? '?test=true' : ''}`,
      relayUrl(terminal.environment),
    )

    const failed: { readonly index: number; readonly message: string }[] = []
    let queued = 0
    for (let start = 0; start < events.length; start += EVENTS_PER_POST) {
      const data = events.slice(start, start + EVENTS_PER_POST)
      const posted = await post(url, relayKey, data, terminal)
      queued += posted.queued
      const { events: entries = [] } = posted.answer.details ?? posted.answer
      for (const [index, event] of entries.entries()) {
        if (event.status === 'failed') failed.push({ index: start + index, message: event.error_message })
      }
      if (events.length > EVENTS_PER_POST)
        terminal.report(`${start + data.length} of ${events.length} posted`)
    }
    const taken = events.length - failed.length
    return {
      answer: { events: events.length, taken, queued, failed },
      text: [
        `${taken} of ${events.length} events taken${queued > 0 ? `, ${queued} of them queued` : ''}`,
        ...failed.map(({ index, message }) => `event ${index}: ${message}`),
      ].join('\n'),
      isPartial: failed.length > 0,
    }
  },
}

export function relayUrl(environment: Terminal['environment']): string {
  return environment['RELAY_URL'] ?? addressOf(environment['HOST'], environment['PORT'] ?? '8080')
}

/** 429 and 503 took nothing: the same post is tried again when the relay says. */
async function post(url: URL, relayKey: string, data: readonly unknown[], terminal: Terminal) {
  for (let tries = 1; ; tries++) {
    let response: Response
    let answer: PostAnswer
    try {
      response = await fetch(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${relayKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ data }),
      })
      answer = (await response.json()) as PostAnswer
    } catch {
      throw new CommandFailed(`Nothing answers at ${url.origin}. Is RELAY_URL right?`)
    }
    if (response.ok || response.status === 422)
      return { answer, queued: Number(response.headers.get('relay-queued')) }
    const isOver = response.status !== 429 && response.status !== 503
    if (isOver || tries === MOST_TRIES) {
      throw new CommandFailed(`The relay answered ${response.status}: ${answer.message ?? ''}`)
    }
    const pauseS = Math.min(LONGEST_PAUSE_S, Number(response.headers.get('retry-after')) || tries)
    terminal.report(`the relay answered ${response.status}; again in ${pauseS} s`)
    await terminal.wait(1000 * pauseS)
  }
}
