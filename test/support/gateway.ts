/**
 * The real gateway for tests: the machine's nginx with the very configuration that compose mounts. Only the files that
 * name addresses are written anew, into a folder of its own. What nginx says about a failed start is in the error.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, open, readFile, symlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { atExit, openFolder } from './at-exit.ts'
import { findFreePort } from './ports.ts'

export interface Gateway {
  readonly port: number
  /** What it wrote to its log; complete once it is closed. */
  readonly log: () => string
  /** Writes placed.conf, and has nginx read its configuration again; what is under way goes on as it began. */
  readonly place: (lines: string) => Promise<void>
  readonly close: () => Promise<void>
}

/** Of the files that compose mounts. */
export const SHIPPED = fileURLToPath(new URL('../../deploy/gateway/', import.meta.url))

// Debian keeps nginx where only root's path leads.
const NGINX = { env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` } }

/** The reason to skip, for tap's `skip` option; false when nginx is there. */
export function gatewayMissing(): string | false {
  return spawnSync('nginx', ['-v'], NGINX).status === 0 ? false : 'nginx is not installed on this machine'
}

export async function startGateway(relayPort: number): Promise<Gateway> {
  return start('relay.conf', [['relay', [relayPort]]])
}

export async function startGatewayToReplicas(relayPorts: readonly number[]): Promise<Gateway> {
  return start('replicas.conf', [['relay', relayPorts]])
}

/** `ports`: those of each cell's relays; `placed`: the lines of placed.conf. */
export async function startGatewayToCells(
  ports: readonly [readonly number[], readonly number[]],
  placed = '',
): Promise<Gateway> {
  const [one, two] = ports
  return start(
    'cells.conf',
    [
      ['cell-1', one],
      ['cell-2', two],
    ],
    placed,
  )
}

/**
 * With compose's lines; only how relays are found is other here: by address, since there is no name server, and Debian's
 * nginx cannot look names up again.
 */
async function start(
  name: string,
  relays: readonly (readonly [host: string, ports: readonly number[]])[],
  placed = '',
): Promise<Gateway> {
  let relayConfiguration = (await readFile(join(SHIPPED, name), 'utf8')).replaceAll(/^ *resolver.*$/gm, '')
  for (const [host, ports] of relays)
    relayConfiguration = relayConfiguration.replace(
      new RegExp(`^ *server ${host}:8080(?: resolve)?(.*;)$`, 'm'),
      (_, rest: string) => ports.map((port) => `server 127.0.0.1:${port}${rest}`).join('\n'),
    )
  const port = await findFreePort()
  const { path: folder, remove } = openFolder('gateway')
  // As root, nginx's workers are another user, who must get to the folder that large posts wait in.
  await chmod(folder, 0o755)
  for (const name of ['nginx.conf', 'keepalive.conf']) await symlink(join(SHIPPED, name), join(folder, name))
  await writeFile(join(folder, 'listen.conf'), `listen 127.0.0.1:${port};\n`)
  await writeFile(join(folder, 'relay.conf'), relayConfiguration)
  await writeFile(join(folder, 'placed.conf'), placed)

  // A file and not a pipe: nginx opens /dev/stdout by name, which a socket does not allow.
  const logPath = join(folder, 'log')
  const log = await open(logPath, 'a')
  const command = ['-e', 'stderr', '-p', `${folder}/`, '-c', join(folder, 'nginx.conf')]
  const nginx = spawn('nginx', command, { ...NGINX, stdio: ['ignore', log.fd, log.fd] })
  const forget = atExit(() => nginx.kill('SIGTERM'))
  let written = ''
  let closing: Promise<void> | undefined
  const end = async () => {
    if (nginx.exitCode === null && nginx.signalCode === null) {
      nginx.kill('SIGTERM')
      await once(nginx, 'exit')
    }
    forget()
    written = await readFile(logPath, 'utf8')
    await log.close()
    remove()
  }
  const close = () => (closing ??= end())
  const place = async (lines: string) => {
    await writeFile(join(folder, 'placed.conf'), lines)
    nginx.kill('SIGHUP')
  }

  if (await isListening(nginx, port)) return { port, log: () => written, place, close }
  await close()
  throw new Error(`nginx did not start on port ${port}: ${written}`)
}

async function isListening(nginx: ChildProcess, port: number): Promise<boolean> {
  while (nginx.exitCode === null && nginx.signalCode === null) {
    if (await connects(port)) return true
    await delay(20)
  }
  return false
}

async function connects(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
