/**
 * A rolling restart: two relays behind the real nginx with the shipped configuration, ended by SIGTERM one after the other
 * while posts come in. No post fails, and each event is delivered once.
 *
 * Each relay has a store of its own here, and the same accounts and keys: so an event that both had taken would be
 * delivered twice, and nothing would hide it.
 */
import { copyFile, readdir } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createSandbox } from '../../sandbox/sandbox.ts'
import { rawEvent } from '../support/events.ts'
import { gatewayMissing, startGatewayToReplicas } from '../support/gateway.ts'
import { findFreePort } from '../support/ports.ts'
import { startProcess, type TestProcess } from '../support/process.ts'
import { ACCOUNT } from '../support/constants.ts'
import { createClient } from './client.ts'

const POSTERS = 4
/** Several hundred posts a second, and not as many as the machine can. */
const PACE_MS = 5
const POSTS_AROUND = 80
/** Far more than come in while two relays end. */
const POSTS_AT_MOST = 5000

void t.test(
  'a rolling restart fails no post, and sends each event once',
  { skip: gatewayMissing() },
  async (t) => {
    const { relays, gateway, sandbox, authorization } = await setUp(t)
    const client = createClient(t, gateway.port, POSTERS)
    let posted = 0
    const taken: string[] = []
    const failed: unknown[] = []
    const post = async () => {
      posted += 1
      const eventId = `event-${posted}`
      const body = JSON.stringify({ data: [rawEvent({ event_id: eventId })] })
      const headers = { authorization, prefer: 'respond-async' }
      const answer = await client.post({ headers, body }).catch((error: unknown) => error)
      if ((answer as { status?: number }).status === 202) taken.push(eventId)
      else failed.push(answer)
    }
    /** From several sides at once, until `work` is done; and for some posts before and after. */
    const postDuring = async (work: () => Promise<unknown>) => {
      let isDone = false
      let left = POSTS_AROUND
      const poster = async () => {
        while ((!isDone || left-- > 0) && posted < POSTS_AT_MOST) {
          await post()
          await delay(PACE_MS)
        }
      }
      for (let count = 0; count < POSTS_AROUND / POSTERS; count += 1)
        await Promise.all(Array.from({ length: POSTERS }, post))
      const posters = Array.from({ length: POSTERS }, poster)
      await work()
      isDone = true
      await Promise.all(posters)
    }

    const [one, two] = relays
    await postDuring(async () => t.equal(await one.end(), 0))
    await one.start()
    await postDuring(async () => t.equal(await two.end(), 0))

    t.strictSame(failed, [], `all of ${posted} posts were taken`)
    // What the second one had not delivered yet.
    await two.start()
    const counts = () => sandbox.conversions.counts(ACCOUNT)
    await sandbox.until(() => taken.every((id) => counts().has(id)))
    t.strictSame(new Set(taken.map((id) => counts().get(id))), new Set([1]))
  },
)

async function setUp(t: Test) {
  const sandbox = await createSandbox({ journal: { maxCalls: 0 } })
  t.teardown(() => sandbox.close())
  const folder = t.testdir({ one: {}, two: {} })
  const masterKey = randomBytes(32).toString('base64')
  const createRelay = async (name: string) => {
    const settings = {
      PORT: String(await findFreePort()),
      DATABASE_URL: `sqlite:${folder}/${name}/relay.db`,
      PINTEREST_API_URL: sandbox.url,
      MASTER_KEY: masterKey,
      DRAIN_MS: '100',
    }
    let process: TestProcess | undefined
    t.teardown(async () => {
      process?.signal('SIGKILL')
      await process?.ended
    })
    return {
      port: Number(settings.PORT),
      async start() {
        process = await startProcess(settings)
        return process
      },
      async end() {
        process!.signal('SIGTERM')
        return process!.ended
      },
    }
  }
  const relays = [await createRelay('one'), await createRelay('two')] as const
  const authorization = `Bearer ${await (await relays[0].start()).register()}`
  // Nothing is written to it any more.
  for (const name of await readdir(`${folder}/one`))
    if (name.startsWith('relay.vault.db')) await copyFile(`${folder}/one/${name}`, `${folder}/two/${name}`)
  await relays[1].start()
  const gateway = await startGatewayToReplicas(relays.map(({ port }) => port))
  t.teardown(gateway.close)
  return { relays, gateway, sandbox, authorization }
}
