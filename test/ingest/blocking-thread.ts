/**
 * The engine's thread, which is blocked as by a sync that does not return, for as long as the file exists that HANG_WHILE
 * names. It says so with another one beside it.
 */
import { existsSync, writeFileSync } from 'node:fs'
// oxlint-disable-next-line import/no-unassigned-import -- it runs by itself
import '../../src/store/engine/thread.ts'

const file = process.env['HANG_WHILE']!
const cell = new Int32Array(new SharedArrayBuffer(4))

setInterval(() => {
  if (existsSync(file)) writeFileSync(`${file}ing`, '')
  while (existsSync(file)) Atomics.wait(cell, 0, 0, 10)
}, 10).unref()
