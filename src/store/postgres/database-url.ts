/**
 * Reads `postgres://user:password@host:port,host:port/database?…` as libpq reads it: several hosts, `sslmode`, sockets
 * (a host that begins with `/`), and a `+` that is a plus sign. What is not supported is an error; errors name
 * the setting and the parameter, never a value, which may hold the password.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */
import type { ClientConfig } from 'pg'
import { BadSettings } from '../../errors.ts'

export interface Host {
  /** A name, an address, or the folder of a socket. */
  readonly host: string
  readonly port: number
}

export type DatabaseUrl = ReturnType<typeof parseDatabaseUrl>

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
type SslMode = (typeof SSL_MODES)[number]
export const SSL_FILES = ['sslrootcert', 'sslcert', 'sslkey']
const DEFAULT_PORT = 5432
const PARTS = /^postgres(?:ql)?:\/\/(?:([^/:]*)(?::([^/]*))?@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/
const HOST_AND_PORT = /^(\[[^\]]+\]|[^:[\]]*)(?::(\d*))?$/
/** Supported values of each parameter; undefined: any. Parameters that are read nowhere else have no effect. */
const PARAMETERS: Readonly<Record<string, readonly string[] | undefined>> = {
  host: undefined,
  port: undefined,
  user: undefined,
  password: undefined,
  dbname: undefined,
  options: undefined,
  application_name: undefined,
  connect_timeout: undefined,
  // Without effect: a host that takes no writes is always passed over.
  target_session_attrs: ['any', 'read-write', 'primary'],
  load_balance_hosts: ['disable'],
  sslmode: SSL_MODES,
  sslrootcert: undefined,
  sslcert: undefined,
  sslkey: undefined,
  sslnegotiation: ['postgres', 'direct'],
  // sslmode=require as JDBC writes it, which libpq takes as well.
  ssl: ['true'],
  channel_binding: ['disable', 'prefer'],
  gssencmode: ['disable', 'prefer'],
  client_encoding: ['auto', 'UTF8', 'utf8'],
  keepalives: undefined,
  keepalives_idle: undefined,
  keepalives_interval: undefined,
  keepalives_count: undefined,
  tcp_user_timeout: undefined,
}

/** Throws BAD_SETTINGS. */
export function parseDatabaseUrl(url: string) {
  const parts = PARTS.exec(url) ?? fail('must be postgres:// and a database')
  const [, user = '', password = '', authority = '', path = '', query = ''] = parts
  const given: Record<string, string> = {}
  for (const pair of query.split('&').filter(Boolean)) {
    const [, name = '', value = ''] = /^([^=]*)=?(.*)$/.exec(pair)!
    // The name may be part of a password that was not escaped: it is not shown.
    if (!Object.hasOwn(PARAMETERS, name)) {
      fail(`has a parameter that the relay does not know; it knows ${Object.keys(PARAMETERS).join(', ')}`)
    }
    given[name] = decode(value)
    const allowed = PARAMETERS[name]
    if (allowed?.includes(given[name]) === false)
      fail(`cannot be used: of ${name} the relay supports ${allowed.join(', ')}`)
  }
  const timeoutS = Number(given['connect_timeout'] ?? 0)
  const login: Record<string, unknown> = {
    user: given['user'] ?? decode(user),
    password: given['password'] ?? decode(password),
    database: given['dbname'] ?? decode(path),
    options: given['options'],
    application_name: given['application_name'],
    connectionTimeoutMillis: timeoutS > 0 ? timeoutS * 1000 : undefined,
    sslnegotiation: given['sslnegotiation'],
  }
  return {
    /** At least one, in the order in which they are tried. */
    hosts: readHosts(authority, given),
    /** As `pg` takes it; without what the URL leaves out. */
    login: Object.fromEntries(Object.entries(login).filter(([, value]) => Boolean(value))) as ClientConfig,
    sslMode: readSslMode(given),
    /** Files in PEM, by the parameters that name them. */
    sslFiles: Object.fromEntries(Object.entries(given).filter(([name]) => SSL_FILES.includes(name))),
  }
}

const fail = (problem: string): never => {
  throw new BadSettings(`DATABASE_URL ${problem}`)
}

type Given = Readonly<Record<string, string>>

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return fail('has a % that is not part of an escape: write it as %25')
  }
}

function readSslMode(given: Given): SslMode {
  const mode = (given['sslmode'] ?? ('ssl' in given ? 'require' : 'prefer')) as SslMode
  if (mode === 'verify-ca' && (given['sslrootcert'] ?? 'system') === 'system') {
    // With the public authorities it would trust any server that has a certificate of one.
    fail(
      'cannot be used: sslmode=verify-ca needs sslrootcert; without a certificate of your own use verify-full',
    )
  }
  if (given['sslnegotiation'] === 'direct' && ['disable', 'allow', 'prefer'].includes(mode)) {
    fail('cannot be used: sslnegotiation=direct needs sslmode=require, verify-ca or verify-full')
  }
  if ('sslcert' in given !== 'sslkey' in given) fail('cannot be used: sslcert and sslkey go together')
  return mode
}

function readHosts(authority: string, given: Given): Host[] {
  const inAuthority = authority.split(',').map((one) => {
    const [, host = '', port = ''] =
      HOST_AND_PORT.exec(one) ??
      fail('has a host or port that cannot be read: in a user name or password write / as %2F and @ as %40')
    return { host: decode(host), port }
  })
  const hosts = given['host']?.split(',') ?? inAuthority.map(({ host }) => host)
  const ports = given['port']?.split(',') ?? inAuthority.map(({ port }) => port)
  // One port may serve for all hosts.
  if (ports.length !== 1 && ports.length !== hosts.length) fail('does not name one port for each host')
  return hosts.map((host, index) => {
    const port = Number((ports.length === 1 ? ports[0] : ports[index]) || DEFAULT_PORT)
    if (!Number.isInteger(port) || port < 1 || port > 65_535) fail('has a port that is not from 1 to 65535')
    return { host: host === '' ? 'localhost' : host.replace(/^\[(.+)\]$/, '$1'), port }
  })
}
