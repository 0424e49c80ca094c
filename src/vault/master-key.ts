/**
 * Where the master key comes from: the setting, or a file beside the store that is made once. The same goes for the
 * admin token. A secret file is whole or absent: it appears under its name only once its bytes are on disk, and never
 * replaces one that is there, so that two starts at once agree on one secret.
 *
 * Errors name the setting or the file, never the value.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { link, open, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { platform } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { BadSettings, codeOf } from '../errors.ts'
import { MASTER_KEY_BYTES } from './seal.ts'

/** 32 bytes in base64 or base64url, padded or not: 43 digits and perhaps one `=`. */
const MASTER_KEY_FORMAT = /^[A-Za-z0-9+/_-]{43}=?$/

/** Reads `MASTER_KEY` or `MASTER_KEY_PREVIOUS`; `name` is how the error calls it. */
export function parseMasterKey(name: string, text: string): Uint8Array {
  const key = MASTER_KEY_FORMAT.test(text.trim()) ? Buffer.from(text.trim(), 'base64') : undefined
  if (key?.byteLength !== MASTER_KEY_BYTES) {
    throw new BadSettings(`${name} must be 32 bytes in base64 (make one with: openssl rand -base64 32).`)
  }
  return key
}

/** The master key in the file at `path`, which is made when there is none. */
export async function loadOrMakeMasterKey(path: string): Promise<Uint8Array> {
  return parseMasterKey(`The master key file ${path}`, await loadOrMakeSecretFile(path, MASTER_KEY_BYTES))
}

/** The text in the file at `path`; when there is none, `byteCount` random bytes in base64url are put there first. */
export async function loadOrMakeSecretFile(path: string, byteCount: number): Promise<string> {
  const found = await readSecretFile(path)
  if (found !== undefined) return found
  await placeSecretFile(path, randomBytes(byteCount).toString('base64url'))
  const placed = await readSecretFile(path)
  if (placed === undefined) throw new BadSettings(`${path} vanished while it was made.`)
  return placed
}

const OTHERS_MAY_READ_OR_WRITE = 0o006

async function readSecretFile(path: string): Promise<string | undefined> {
  try {
    // The group is let in: orchestrators hand volumes to a group and widen its rights on everything in them.
    const { mode } = await stat(path)
    if (platform() !== 'win32' && (mode & OTHERS_MAY_READ_OR_WRITE) !== 0) {
      throw new BadSettings(`Every user of this machine may read or write ${path}; run: chmod 600 ${path}`)
    }
    const text = (await readFile(path, 'utf8')).trim()
    if (text === '') throw new BadSettings(`${path} is empty; put the secret back.`)
    return text
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    if (error instanceof BadSettings) throw error
    throw new BadSettings(`${path} cannot be read (${codeOf(error)}).`, { cause: error })
  }
}

async function placeSecretFile(path: string, text: string): Promise<void> {
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}`)
  try {
    makeFolder(folder)
    await writeFile(temporary, `${text}\n`, { flag: 'wx', mode: 0o600, flush: true })
    // A link, not a rename: it fails where another start was faster, instead of replacing that start's secret.
    await link(temporary, path).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error
    })
    await unlink(temporary)
    await using entry = await open(folder, 'r')
    await entry.sync()
  } catch (error) {
    await unlink(temporary).catch(() => undefined)
    throw new BadSettings(`${path} cannot be made (${codeOf(error)}).`, { cause: error })
  }
}

/** With those above it. Node's own `recursive` never ends below /proc, where nothing can be made. */
export function makeFolder(folder: string): void {
  if (existsSync(folder)) return
  makeFolder(dirname(folder))
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    // Another start was faster.
    if (codeOf(error) !== 'EEXIST') throw error
  }
}
