/** The log's output against real pipes and devices: a reader that is slow, stands still or is gone, and a full disk. */
import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createLogOutput } from '../../src/telemetry/log-output.ts'
import { makeFolder } from '../support/at-exit.ts'
import { createManualClock, runDue } from '../support/clock.ts'

const LINE = `${'x'.repeat(999)}\n`
const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK } = constants

/** A pipe of 64 KiB with both ends in this process. */
function openPipe(t: Test) {
  const folder = makeFolder(t)
  const path = join(folder, 'pipe')
  t.equal(spawnSync('mkfifo', [path]).status, 0)
  const openReader = () => openSync(path, O_RDONLY | O_NONBLOCK)
  let reader = openReader()
  const clock = createManualClock()
  const output = createLogOutput({ fd: openSync(path, O_WRONLY | O_NONBLOCK), isNonBlocking: true, clock })
  return {
    clock,
    output,
    /** All that is in the pipe. */
    read() {
      const bytes = Buffer.alloc(128 * 1024)
      return bytes.toString('latin1', 0, readSync(reader, bytes))
    },
    closeReader: () => closeSync(reader),
    reopenReader: () => void (reader = openReader()),
  }
}

t.test('lines are gathered for half a second, or until there are many', async (t) => {
  const { output, clock, read } = openPipe(t)
  output.write('one\n')
  output.write('two\n')
  t.throws(read, { code: 'EAGAIN' })
  await clock.advance(500)
  t.equal(read(), 'one\ntwo\n')
  for (let count = 0; count < 16; count += 1) output.write(LINE)
  t.equal(read(), LINE.repeat(16))
  output.write('three\n')
  output.flush()
  t.equal(read(), 'three\n')
  t.equal(clock.pendingTimers(), 0)
})

t.test(
  'a reader that stops for a while costs bounded memory, and gets all that waits when it reads again',
  async (t) => {
    const { output, clock, read } = openPipe(t)
    const numbered = (n: number) => `${String(n).padStart(6)} ${'x'.repeat(992)}\n`
    for (let n = 0; n < 3000; n += 1) output.write(numbered(n))
    const dropped = output.dropped()
    t.ok(
      dropped > 3000 - 1200 && dropped < 3000 - 1000,
      `${dropped} dropped: a mebibyte waits, besides what is in the pipe`,
    )
    let got = ''
    while (got.length < (3000 - dropped) * 1000) {
      got += read()
      await clock.advance(20)
    }
    t.equal(
      got,
      Array.from({ length: 3000 - dropped }, (_, n) => numbered(n)).join(''),
      'in order, none torn',
    )
    output.write('after\n')
    await clock.advance(500)
    t.equal(read(), 'after\n')
    t.equal(output.dropped(), dropped)
  },
)

t.test('without a reader lines are dropped and counted, until there is one again', async (t) => {
  const { output, clock, read, closeReader, reopenReader } = openPipe(t)
  closeReader()
  output.write('lost\n')
  output.write('lost\n')
  output.flush()
  t.equal(output.dropped(), 2)
  output.write('kept for the next try\n')
  output.flush()
  t.equal(output.dropped(), 2, 'it is not tried again at once')
  reopenReader()
  await clock.advance(1000)
  t.equal(read(), 'kept for the next try\n')
})

t.test('a line that was cut off does not spoil the next one', async (t) => {
  const { output, clock, read, closeReader, reopenReader } = openPipe(t)
  for (let count = 0; count < 48; count += 1) output.write(LINE)
  // The pipe has room for a part of it.
  output.write(`${'y'.repeat(50_000)}\n`)
  closeReader()
  await clock.advance(20)
  t.equal(output.dropped(), 1)
  reopenReader()
  t.ok(read().endsWith('y'))
  output.write('next\n')
  await clock.advance(1000)
  t.equal(read(), '\nnext\n')
})

t.test('a full disk drops lines and counts them', async (t) => {
  for (const isNonBlocking of [false, true]) {
    const clock = createManualClock()
    const fd = openSync('/dev/full', O_WRONLY)
    const output = createLogOutput({ fd, isNonBlocking, clock })
    output.write('one\n')
    output.write('two\n')
    output.flush()
    await waitUntil(() => output.dropped() === 2)
    output.write('three\n')
    output.flushSync(1000)
    t.equal(output.dropped(), 3)
    closeSync(fd)
    output.write('four\n')
    output.flushSync(1000)
    t.equal(output.dropped(), 4, 'closed')
  }
})

t.test('a file gets all, the last lines at the end', async (t) => {
  const folder = makeFolder(t)
  const path = join(folder, 'log')
  const output = createLogOutput({
    fd: openSync(path, 'a'),
    isNonBlocking: false,
    clock: createManualClock(),
  })
  output.write(LINE.repeat(20))
  output.write('more\n')
  await waitUntil(() => readFileSync(path).length === 20_000)
  output.write('last\n')
  output.flushSync(1000)
  t.equal(readFileSync(path, 'latin1'), `${LINE.repeat(20)}more\nlast\n`)
  t.equal(output.dropped(), 0)
})

t.test('at the end a full pipe is waited for, but not without an end', async (t) => {
  const { output } = openPipe(t)
  for (let count = 0; count < 100; count += 1) output.write(LINE)
  output.write('closed\n')
  output.flushSync(40)
  t.ok(output.dropped() >= 100 - 66 + 1, `${output.dropped()} dropped`)
})

t.test('a process whose output is a full pipe writes without blocking, and exits', async (t) => {
  const folder = makeFolder(t)
  const path = join(folder, 'pipe')
  t.equal(spawnSync('mkfifo', [path]).status, 0)
  const reader = openSync(path, O_RDWR | O_NONBLOCK)
  t.throws(() => {
    for (;;) writeSync(reader, Buffer.alloc(4096))
  })
  const { href } = new URL('../../src/', import.meta.url)
  const script = `
    import { systemClock } from '${href}clock.ts'
    import { openStandardOutput } from '${href}telemetry/log-output.ts'
    const output = openStandardOutput(systemClock)
    output.write('one\\n')
    output.flush()
    output.write('two\\n')
    output.flushSync(20)
    process.exit(output.dropped())`
  const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', openSync(path, O_WRONLY), 'inherit'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  })
  t.match({ status, signal }, { status: 2, signal: null })
})

async function waitUntil(isSo: () => boolean): Promise<void> {
  while (!isSo()) await runDue()
}
