/** Cells behind the real nginx with the shipped configuration: each account has one, and never another. */
import t, { type Test } from 'tap'
import { rawEvent } from '../support/events.ts'
import { gatewayMissing, startGatewayToCells } from '../support/gateway.ts'
import { findFreePort } from '../support/ports.ts'
import { setUp } from '../support/relay.ts'
import { createClient } from './client.ts'
import { listen } from './stand-in.ts'

const skip = gatewayMissing()
const ACCOUNTS = Array.from({ length: 40 }, (_, index) => String(549_755_885_100 + index))
const pathOf = (account: string) => `/v5/ad_accounts/${account}/events`

/** A relay's place, which notes the paths that it was posted to. */
async function startCell(t: Test) {
  const seen: string[] = []
  const server = await listen(t, (incoming, answer) => {
    seen.push(incoming.url!)
    incoming.resume().on('end', () => answer.end('{}'))
  })
  return { seen, port: (server.address() as { port: number }).port }
}

void t.test('an account has one cell, by placed.conf or else by its hash', { skip }, async (t) => {
  const cells = [await startCell(t), await startCell(t)] as const
  const [one, two] = cells
  const placed = '549755885100 cell-2;\n549755885101 cell-1;\nmy-shop cell-2;\nother-shop cell-1;\n'
  const gateway = await startGatewayToCells([[one.port], [two.port]], placed)
  t.teardown(gateway.close)
  const client = createClient(t, gateway.port)
  const cellOf = async (path: string) => {
    const before = cells.map(({ seen }) => seen.length)
    t.equal((await client.post({ body: '{}', path })).status, 200)
    const [grown, ...more] = cells.filter(({ seen }, index) => seen.length > before[index]!)
    t.strictSame(more, [], 'one cell alone')
    t.equal(grown!.seen.at(-1), path)
    return cells.indexOf(grown!) + 1
  }

  t.equal(await cellOf(pathOf('549755885100')), 2)
  t.equal(await cellOf(pathOf('549755885101')), 1)
  t.equal(await cellOf('/sources/my-shop'), 2)
  t.equal(await cellOf('/sources/other-shop'), 1)
  t.equal(await cellOf('/sources/549755885100'), 2, "a source's account is what its id begins with")
  t.equal(await cellOf('/sources/549755885101-shopify'), 1)
  const hashed: number[] = []
  for (const account of ACCOUNTS) {
    const cell = await cellOf(pathOf(account))
    hashed.push(cell)
    t.equal(await cellOf(`${pathOf(account)}?test=true`), cell)
    t.equal(await cellOf(`/v5/ad_accounts/%3${account[0]}${account.slice(1)}/events`), cell, 'encoded')
    t.equal(await cellOf(`/sources/${account}-shop`), cell)
  }
  t.ok(hashed.filter((cell) => cell === 1).length > 10 && hashed.filter((cell) => cell === 2).length > 10)
})

void t.test("a cell that is away costs its own accounts' posts only", { skip }, async (t) => {
  const cell = await setUp(t)
  const gateway = await startGatewayToCells(
    [[Number(new URL(cell.relay.publicUrl).port)], [await findFreePort()]],
    `${cell.account} cell-1;\n549755885101 cell-2;\n`,
  )
  t.teardown(gateway.close)
  const client = createClient(t, gateway.port)
  const headers = { authorization: `Bearer ${cell.relayKey}` }
  const body = () => JSON.stringify({ data: [rawEvent()] })
  // More than a server may fail before nginx leaves it out by default.
  for (let round = 0; round < 5; round += 1) {
    for (const path of [pathOf('549755885101'), '/sources/549755885101-shop']) {
      const away = await client.post({ path, headers, body: body() })
      t.equal(away.status, 503)
      t.match(away.headers['retry-after'], /^\d+$/)
      t.match(away.body, { code: 4197, message: String })
    }
    t.equal((await client.post({ path: pathOf(cell.account), headers, body: body() })).status, 200)
  }
  await gateway.close()
  t.match(gateway.log(), /"status":503,.*"cell":"cell-2"/)
  t.notMatch(gateway.log(), /"status":503,.*"cell":"cell-1"/)
})
