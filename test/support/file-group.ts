/**
 * Runs the test files that are named as arguments in this one process, one after the other: starting a process for each
 * of the small files costs more than their tests. Its last line is the CPU time that it and its children took.
 */
import async_hooks, { type AsyncHook } from 'node:async_hooks'
import { readFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const files = process.argv.slice(2)
// What it started ends with it, at its `exit`. Where its tests hang, what it waits for says why.
process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => {
  process.stderr.write(`waits for ${process.getActiveResourcesInfo().join(', ') || 'nothing'}\n`)
  process.exit(143)
})
process.once('exit', () => process.stdout.write(`# CPU seconds: ${cpuSeconds().toFixed(1)}\n`))
// tap derives the name of the run, and with it the folder of `t.testdir()`, from the script and its arguments: it must
// differ between groups, and be no longer than a file's name may be.
process.argv.splice(1, Infinity, resolve(files[0]!))
// tap follows every promise, to name the test of an error that nobody caught: a tenth of all CPU. Here that error ends the process,
// and runFiles shows it beside the test that it left unfinished.
async_hooks.createHook = () => {
  const idle: AsyncHook = { enable: () => idle, disable: () => idle }
  return idle
}
syncBuiltinESMExports()
// With a teardown of its own, tap ends the run as soon as no test waits: not while a file still prepares its tests.
const { default: tap } = await import('tap')
const endWhenIdle = tap.listeners('idle') as (() => void)[]
tap.removeAllListeners('idle')
for (const file of files) {
  await import(pathToFileURL(resolve(file)).href).catch((error: Error) => {
    tap.fail(`${file} begins no test: ${error.message}`)
  })
}
for (const listener of endWhenIdle) tap.on('idle', listener)
tap.emit('idle')

/** The children's part, which only Linux tells, are cutime and cstime of proc_pid_stat(5), in ticks of 10 ms. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  const own = (user + system) / 1e6
  if (process.platform !== 'linux') return own
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ')
  return own + (Number(fields[13]) + Number(fields[14])) / 100
}
