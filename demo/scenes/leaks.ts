/** What must not be anywhere: raw identifiers past the public port, tokens and keys where they do not belong. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Scene } from '../demo.ts'
import { count } from '../show.ts'
import { leavesOf } from '../wire.ts'

/** Shorter ones (`us`, `SP`, `63101`) are searched for as whole values: as a part they are in anything. */
const LONG = 8

export const leaksScene: Scene = {
  title: 'What must not be there',
  async play({ stage, screen, claim, secrets }) {
    const { sandbox, shops, folder, logLines, adminToken } = stage
    const all = [...secrets].filter((secret) => secret !== '').map((secret) => secret.toLowerCase())
    const long = all.filter((secret) => secret.length >= LONG)
    screen.prose(
      `The demo has posted ${count(all.length, 'raw identifier')}, counting each as it was typed and as it is normalized. ` +
        'It now searches for them in all that the sandbox received, in the log of the relay, and byte by byte on its disk.',
    )
    screen.blank()
    const calls = sandbox.journal.calls()
    const leaves = new Set(leavesOf(calls).map((leaf) => leaf.toLowerCase()))
    // A hash contains no text.
    const texts = [...leaves].filter((leaf) => !/^[0-9a-f]{64}$/.test(leaf))
    claim(
      `no raw identifier in any of the ${count(calls.length, 'call')} that the sandbox received`,
      calls.length > 0 &&
        all.every((secret) => !leaves.has(secret)) &&
        long.every((secret) => !texts.some((text) => text.includes(secret))),
    )
    claim('nor an @, which every address has', !texts.some((text) => text.includes('@')))
    const log = logLines.join('\n').toLowerCase()
    claim(
      `nor in the ${count(logLines.length, 'line')} of the relay's log`,
      logLines.length > 0 && !log.includes('@') && long.every((secret) => !log.includes(secret)),
    )
    const disk = await readStore(folder)
    const foundOnDisk = [...secrets].filter((secret) => secret.length >= LONG && disk.includes(secret))
    claim(
      `nor in the ${count(Math.round(disk.length / 1024), 'KiB', 'KiB')} of its store`,
      disk.length > 0 && foundOnDisk.length === 0 && !disk.includes('@example'),
    )
    const held = Object.values(shops).flatMap(({ accessToken, relayKey }) => [accessToken, relayKey])
    claim(
      "Pinterest's tokens, the relay keys and the admin token are neither in the log nor readable on disk",
      [...held, adminToken].every((secret) => !log.includes(secret.toLowerCase()) && !disk.includes(secret)),
    )
    const keys = Object.values(shops).map(({ relayKey }) => relayKey.slice(-4))
    claim(
      'no call carried a relay key to Pinterest',
      calls.every(({ tokenLast4 }) => !keys.includes(tokenLast4)),
    )
  },
}

/** All files of the relay's folder, one after the other. */
async function readStore(folder: string): Promise<Buffer> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = names.filter((entry) => entry.isFile())
  return Buffer.concat(await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name)))))
}
