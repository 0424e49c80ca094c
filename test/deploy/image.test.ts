/** What the image and `npm start` have in common. */
import { readFileSync } from 'node:fs'
import t from 'tap'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

t.test('the image starts the relay with the flags of npm start', async (t) => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: { start: string } }
  const command = JSON.parse(/^CMD (\[.*\])$/m.exec(read('Dockerfile'))![1]!) as string[]
  t.equal(command.join(' '), scripts.start.replace('main.ts', 'main.js'))
  // Both threads collect their garbage once when they have started: 23 MiB less of an idle relay.
  t.ok(command.includes('--expose-gc'))
})
