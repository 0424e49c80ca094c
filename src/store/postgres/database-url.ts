/**
 * Reads `postgres://user:password@host:port,host:port/database?…` as libpq reads it: several hosts, `sslmode`, sockets
 * (a host that begins with `/`), and a `+` that is a plus sign. What is not supported is an error; errors name
 * the setting and the parameter, never a value, which may hold the password.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */
import { parseIntoClientConfig } from 'pg-connection-string'
import { BadSettings } from '../../errors.ts'

export type SslMode = (typeof SSL_MODES)[number]

export interface Host {
  /** A name, an address, or the folder of a socket. */
  readonly host: string
  readonly port: number
}

export interface DatabaseUrl {
  /** At least one, in the order in which they are tried. */
  readonly hosts: readonly Host[]
  readonly user: string | undefined
  readonly password: string | undefined
  readonly database: string | undefined
  readonly options: string | undefined
  readonly applicationName: string | undefined
  readonly connectTimeoutMs: number | undefined
  readonly ssl: {
    readonly mode: SslMode
    readonly isDirect: boolean
    /** Files in PEM. */
    readonly rootCertPath: string | undefined
    readonly certPath: string | undefined
    readonly keyPath: string | undefined
  }
}

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
const DEFAULT_PORT = 5432
const PARTS = /^postgres(?:ql)?:\/\/(?:([^/]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/
const HOST_AND_PORT = /^(\[[^\]]+\]|[^:[\]]*)(?::(\d*))?$/
/** Which values of a parameter can be had; undefined: any. Those that are only here change nothing for the relay. */
const PARAMETERS: Readonly<Record<string, readonly string[] | undefined>> = {
  host: undefined,
  port: undefined,
  user: undefined,
  password: undefined,
  dbname: undefined,
  options: undefined,
  application_name: undefined,
  connect_timeout: undefined,
  // Ignored: the relay writes, so a host that takes no writes is always passed over.
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

/** Throws BAD_SETTINGS. `setting` is where the URL comes from. */
export function parseDatabaseUrl(url: string, setting: string): DatabaseUrl {
  const fail = (problem: string): never => {
    throw new BadSettings(`${setting} ${problem}`)
  }
  const parts = PARTS.exec(url)
  if (parts === null) return fail('must be postgres:// and a database')
  const [, login = '', authority = '', path = '', query = ''] = parts
  const decode = (text: string): string => {
    try {
      return decodeURIComponent(text)
    } catch {
      return fail('has a % that is not part of an escape: write it as %25')
    }
  }

  const given = new Map<string, string>()
  for (const pair of query.split('&')) {
    if (pair === '') continue
    const [, name = '', value = ''] = /^([^=]*)=?(.*)$/.exec(pair)!
    // The name may be part of a password that was not escaped: it is not shown.
    if (!Object.hasOwn(PARAMETERS, name)) {
      fail(`has a parameter that the relay does not know; it knows ${Object.keys(PARAMETERS).join(', ')}`)
    }
    const allowed = PARAMETERS[name]
    given.set(name, decode(value))
    if (allowed !== undefined && !allowed.includes(given.get(name)!)) {
      fail(`cannot be used: of ${name} the relay supports ${allowed.join(', ')}`)
    }
  }

  const ssl = readSsl(given, fail)
  const hosts = readHosts(authority, given, decode, fail)
  const [user = '', password = ''] = splitOnce(login, ':').map(decode)
  const client = parseIntoClientConfig(clientUrl(user, password, given))
  const database = given.get('dbname') ?? decode(path)
  const timeoutS = Number(given.get('connect_timeout') ?? 0)
  return {
    hosts,
    user: client.user || undefined,
    password: typeof client.password === 'string' && client.password !== '' ? client.password : undefined,
    database: database === '' ? undefined : database,
    options: client.options,
    applicationName: client.application_name,
    connectTimeoutMs: timeoutS > 0 ? timeoutS * 1000 : undefined,
    ssl,
  }
}

type Fail = (problem: string) => never

function readSsl(given: ReadonlyMap<string, string>, fail: Fail): DatabaseUrl['ssl'] {
  const isDirect = given.get('sslnegotiation') === 'direct'
  const mode = (given.get('sslmode') ?? (given.has('ssl') ? 'require' : 'prefer')) as SslMode
  const rootCertPath = given.get('sslrootcert')
  if (mode === 'verify-ca' && rootCertPath === undefined) {
    // With every public authority it would trust any server that has a certificate of one.
    fail(
      'cannot be used: sslmode=verify-ca needs sslrootcert; without a certificate of your own use verify-full',
    )
  }
  if (isDirect && ['disable', 'allow', 'prefer'].includes(mode)) {
    fail('cannot be used: sslnegotiation=direct needs sslmode=require, verify-ca or verify-full')
  }
  if (given.has('sslcert') !== given.has('sslkey')) fail('cannot be used: sslcert and sslkey go together')
  return { mode, isDirect, rootCertPath, certPath: given.get('sslcert'), keyPath: given.get('sslkey') }
}

function readHosts(
  authority: string,
  given: ReadonlyMap<string, string>,
  decode: (text: string) => string,
  fail: Fail,
): Host[] {
  const inAuthority = authority.split(',').map((one) => {
    const [, host = '', port = ''] =
      HOST_AND_PORT.exec(one) ??
      fail('has a host or port that cannot be read: in a user name or password write / as %2F and @ as %40')
    return { host: decode(host), port }
  })
  const hosts = given.get('host')?.split(',') ?? inAuthority.map(({ host }) => host)
  const ports = given.get('port')?.split(',') ?? inAuthority.map(({ port }) => port)
  // One port for all hosts, or none.
  if (ports.length !== 1 && ports.length !== hosts.length) fail('does not name one port for each host')
  return hosts.map((host, index) => {
    const port = ports.length === 1 ? ports[0]! : ports[index]!
    const number = port === '' ? DEFAULT_PORT : Number(port)
    if (!Number.isInteger(number) || number < 1 || number > 65_535)
      fail('has a port that is not from 1 to 65535')
    return { host: host === '' ? 'localhost' : host.replace(/^\[(.+)\]$/, '$1'), port: number }
  })
}

/** What is left for pg's own parser, in the one form that it and libpq read alike. */
function clientUrl(user: string, password: string, given: ReadonlyMap<string, string>): string {
  const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
  const rest = ['user', 'password', 'options', 'application_name'].flatMap((name) => {
    const value = given.get(name)
    return value === undefined ? [] : `${name}=${encodeURIComponent(value)}`
  })
  return `postgres://${login}@host/?${rest.join('&')}`
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}
