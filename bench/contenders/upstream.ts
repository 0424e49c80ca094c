/**
 * Pinterest, as far as a relay needs it, in no time: counts the events of a call, and answers that each was processed. Pinterest has
 * more than one thread; the sandbox reads and judges a call of 1,000 events in steps of some milliseconds, which the call of a small
 * post waits for. Prints its port.
 */
import { createServer } from 'node:http'

const EVENT = Buffer.from('"event_name"')
const answers = new Map<number, string>()

const server = createServer((request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => {
    response.setHeader('content-type', 'application/json')
    response.end(answerFor(countEvents(Buffer.concat(parts))))
  })
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify(server.address())}\n`)
})

function countEvents(body: Buffer): number {
  let events = 0
  for (let at = body.indexOf(EVENT); at >= 0; at = body.indexOf(EVENT, at + EVENT.length)) events += 1
  return events
}

function answerFor(events: number): string {
  const known = answers.get(events)
  if (known !== undefined) return known
  const one = { status: 'processed', error_message: '', warning_message: '' }
  const answer = JSON.stringify({
    num_events_received: events,
    num_events_processed: events,
    events: Array.from({ length: events }, () => one),
  })
  answers.set(events, answer)
  return answer
}
