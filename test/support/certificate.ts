/** A certificate for 127.0.0.1 that signs itself, made by openssl. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'

/** Why tests with TLS are skipped here. */
export function opensslMissing(): string | false {
  return spawnSync('openssl', ['version']).error === undefined ? false : 'there is no openssl here'
}

/** The paths of both. */
export function makeCertificate(folder: string): { cert: string; key: string } {
  const cert = join(folder, 'server.crt')
  const key = join(folder, 'server.key')
  const subject = ['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1']
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', ['req', ...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  chmodSync(key, 0o600)
  return { cert, key }
}
