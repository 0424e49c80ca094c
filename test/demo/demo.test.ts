import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { askAdmin, createAdmin } from '../support/admin.ts'
import { until } from '../support/clock.ts'
import { checkClaims, foldersOfDemos, startDemo } from './run-demo.ts'

t.test(
  'the demo holds all that it claims; with --keep it stays, with a request to paste, until Ctrl-C',
  async (t) => {
    const before = await foldersOfDemos()
    const demo = startDemo(t, ['--keep'])
    await demo.says('/totals')
    checkClaims(t, demo.text())

    const [, curl] = /(now=\$\(date[\s\S]*?\}'\n)/.exec(demo.text()) ?? []
    t.ok(curl, 'a request to paste')
    const shell = spawn('sh', ['-c', curl ?? 'false'], { stdio: ['ignore', 'pipe', 'ignore'] })
    const [answer, [code]] = await Promise.all([text(shell.stdout), once(shell, 'close')])
    // 127: this machine has no curl.
    if (code !== 127) t.match(JSON.parse(answer), { num_events_processed: 1 })

    const [, adminUrl, adminToken] = /^console +(\S+)\/ .*\nadmin token +(\S+)$/m.exec(demo.text()) ?? []
    const received = async () =>
      (await askAdmin<{ received: number }>(createAdmin(adminUrl!, adminToken!), 'GET', '/totals')).received
    const first = await received()
    await until(async () => (await received()) > first)

    demo.signal('SIGINT')
    t.equal(await demo.ended, 0)
    const left = (await foldersOfDemos()).filter(
      (name) => !before.includes(name) && demo.text().includes(name),
    )
    t.strictSame(left, [], 'without a trace')
  },
)
