/**
 * The real gateway for tests: the machine's nginx with the very configuration that compose mounts. Only the two files
 * that name addresses are written anew, into a folder of its own. Throws nothing away: what nginx has to say about a
 * failed start is in the error.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, open, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { findFreePort } from './ports.ts'

export interface Gateway {
  readonly port: number
  /** What it wrote to its log; complete once it is closed. */
  readonly log: () => string
  readonly close: () => Promise<void>
}

export const CONFIGURATION = fileURLToPath(new URL('../../deploy/gateway/nginx.conf', import.meta.url))
const REPLICAS = fileURLToPath(new URL('../../deploy/gateway/replicas.conf', import.meta.url))

const START_ATTEMPTS = 3
// Debian keeps nginx where only root's path leads.
const NGINX = { env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` } }

/** The reason to skip, for tap's `skip` option; false when nginx is there. */
export function gatewayMissing(): string | false {
  return spawnSync('nginx', ['-v'], NGINX).status === 0 ? false : 'nginx is not installed on this machine'
}

export async function startGateway(relayPort: number): Promise<Gateway> {
  return start(`server 127.0.0.1:${relayPort};\n`)
}

/**
 * With compose's lines for several relays; only how they are found is other here: by address, since there is no name
 * server, and Debian's nginx cannot look names up again.
 */
export async function startGatewayToReplicas(relayPorts: readonly number[]): Promise<Gateway> {
  const replicas = await readFile(REPLICAS, 'utf8')
  return start(
    replicas
      .replaceAll(/^resolver.*$/gm, '')
      .replace(/^server relay:8080 resolve (.*)$/m, (_, rest: string) =>
        relayPorts.map((port) => `server 127.0.0.1:${port} ${rest}`).join('\n'),
      ),
  )
}

async function start(relayConfiguration: string): Promise<Gateway> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startOnce(relayConfiguration)
    } catch (error) {
      // The free port may have been taken by another test between the look and the start.
      if (attempt === START_ATTEMPTS) throw error
    }
  }
}

async function startOnce(relayConfiguration: string): Promise<Gateway> {
  const port = await findFreePort()
  const folder = await mkdtemp(join(tmpdir(), 'pinrelay-gateway-'))
  // As root, nginx's workers are another user, who must get to the folder that large posts wait in.
  await chmod(folder, 0o755)
  await symlink(CONFIGURATION, join(folder, 'nginx.conf'))
  await writeFile(join(folder, 'listen.conf'), `listen 127.0.0.1:${port};\n`)
  await writeFile(join(folder, 'relay.conf'), relayConfiguration)

  // A file and not a pipe: nginx opens /dev/stdout by name, which a socket does not allow.
  const logPath = join(folder, 'log')
  const log = await open(logPath, 'a')
  const command = ['-e', 'stderr', '-p', `${folder}/`, '-c', join(folder, 'nginx.conf')]
  const nginx = spawn('nginx', command, { ...NGINX, stdio: ['ignore', log.fd, log.fd] })
  let written = ''
  let closing: Promise<void> | undefined
  const end = async () => {
    if (nginx.exitCode === null && nginx.signalCode === null) {
      nginx.kill('SIGTERM')
      await once(nginx, 'exit')
    }
    written = await readFile(logPath, 'utf8')
    await log.close()
    await rm(folder, { recursive: true, force: true })
  }
  const close = () => (closing ??= end())

  if (await isListening(nginx, port)) return { port, log: () => written, close }
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
