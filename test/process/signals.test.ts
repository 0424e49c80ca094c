import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { startProcess } from '../support/process.ts'

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')

/** What stands between `node` and the entry, in `npm start` and in the image. */
async function flagsOfStart(): Promise<{ npm: string[]; image: string[] }> {
  const { scripts } = JSON.parse(await read('package.json')) as { scripts: { start: string } }
  const command = JSON.parse(/^CMD (.*)$/m.exec(await read('Dockerfile'))![1]!) as string[]
  return { npm: scripts.start.split(' ').slice(1, -1), image: command.slice(1, -1) }
}

t.test('SIGUSR1 opens no debugger, SIGUSR2 ends nothing', async (t) => {
  const { npm, image } = await flagsOfStart()
  t.same(npm, image, 'npm start and the image start alike')
  const folder = await mkdtemp(join(tmpdir(), 'pinrelay-signals-'))
  const relay = await startProcess({ DATABASE_URL: `sqlite:${folder}/relay.db` })
  t.teardown(async () => {
    relay.signal('SIGKILL')
    await relay.ended
    await rm(folder, { recursive: true })
  })
  relay.signal('SIGUSR1')
  relay.signal('SIGUSR2')
  t.ok((await fetch(`${relay.publicUrl}/livez`)).ok)
  relay.signal('SIGTERM')
  t.equal(await relay.ended, 0, 'in order, and not by the signals before')
  t.notMatch(relay.stderr.join(), /Debugger/)
})
