/** The compose file with two relays on PostgreSQL: what it must not lose when somebody edits it. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { LONGEST_CLOSE_MS, readSettings, SettingsSchema } from '../../src/settings.ts'

interface Service {
  readonly image?: string
  readonly user?: string
  readonly command?: readonly string[]
  readonly profiles?: readonly string[]
  readonly environment?: Readonly<Record<string, string | null>>
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly depends_on?: unknown
  readonly stop_grace_period?: string
  readonly networks:
    | readonly string[]
    | Readonly<Record<string, { readonly ipv4_address?: string; readonly aliases?: readonly string[] }>>
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>
  readonly volumes: Readonly<Record<string, unknown>>
}

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const compose = parse(read('docker-compose.replicas.yml'), { merge: true }) as Compose
const { services, networks, volumes } = compose
const relays = [services['relay-1']!, services['relay-2']!]
const gateway = services['gateway']!
const database = services['database']!
const SECRETS = ['MASTER_KEY', 'ADMIN_TOKEN', 'POSTGRES_PASSWORD']

function networksOf({ networks: joined }: Service): string[] {
  return Array.isArray(joined) ? [...(joined as string[])] : Object.keys(joined)
}

function place({ networks: joined }: Service, network: string) {
  return Array.isArray(joined) ? undefined : (joined as Record<string, { ipv4_address?: string }>)[network]
}

/** OpenTelemetry's SDK reads them itself: see docs/observe.md. */
const SDK_SETTINGS = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_TRACES_SAMPLER', 'OTEL_TRACES_SAMPLER_ARG']

t.test('gateway, two relays, a database, and a sandbox for those who ask for it', async (t) => {
  t.strictSame(Object.keys(services).toSorted(), ['database', 'gateway', 'relay-1', 'relay-2', 'sandbox'])
  t.strictSame(services['sandbox']!.profiles, ['sandbox'])
})

t.test(
  'every setting is passed to both relays alike, but for what the image and the networks fix',
  async (t) => {
    const fixed = ['HOST', 'PORT', 'ADMIN_PORT']
    const wanted = Object.keys(SettingsSchema.properties).filter((name) => !fixed.includes(name))
    for (const { environment } of relays)
      t.strictSame(Object.keys(environment!).toSorted(), [...wanted, ...SDK_SETTINGS].toSorted())
    const [one, two] = relays.map(({ environment }) => ({ ...environment, ADMIN_HOST: '' }))
    t.strictSame(one, two)
  },
)

t.test('secrets are asked for, and none has a value of its own', async (t) => {
  for (const { environment } of relays) {
    t.match(environment!['MASTER_KEY'], /^\$\{MASTER_KEY:\?[^}]+\}$/)
    t.match(environment!['ADMIN_TOKEN'], /^\$\{ADMIN_TOKEN:\?[^}]+\}$/)
    t.match(
      environment!['DATABASE_URL'],
      /^postgres:\/\/pinrelay:\$\{POSTGRES_PASSWORD:\?[^}]+\}@database:5432\/pinrelay$/,
    )
  }
  t.match(database.environment!['POSTGRES_PASSWORD'], /^\$\{POSTGRES_PASSWORD:\?[^}]+\}$/)
  t.equal(database.environment!['POSTGRES_HOST_AUTH_METHOD'], undefined, 'nobody is trusted without')
  for (const [, name, operator] of JSON.stringify(services).matchAll(/\$\{(\w+)(:?[-?]?)/g)) {
    if (SECRETS.includes(name!)) t.equal(operator, ':?', name!)
  }
})

t.test('nobody may write to an image, gain rights, or be root', async (t) => {
  for (const [name, service] of Object.entries(services)) {
    t.match(
      service,
      {
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        restart: 'unless-stopped',
      },
      name,
    )
    t.notOk(Object.hasOwn(service, 'cap_add') || Object.hasOwn(service, 'privileged'), name)
    // The relay's image says 1000 itself.
    if (service.image !== 'pinrelay:local') t.match(service.user ?? '', /^[1-9]\d*:[1-9]\d*$/, name)
  }
})

t.test('a relay is given the time that it takes to end, here and alone', async (t) => {
  const alone = parse(read('docker-compose.yml'), { merge: true }) as Compose
  const { DRAIN_MS: drainMs } = readSettings({})
  for (const { stop_grace_period: grace = '', environment } of [...relays, alone.services['relay']!]) {
    t.match(grace, /^\d+s$/)
    t.ok(Number.parseInt(grace, 10) * 1000 > drainMs + LONGEST_CLOSE_MS, grace)
    t.equal(environment!['DRAIN_MS'], null, 'the default, or what the shell says')
  }
})

t.test('the database keeps what it committed, and is reached by relays only', async (t) => {
  t.match(database.image, /^postgres:18/)
  for (const setting of ['fsync=on', 'synchronous_commit=on'])
    t.ok(database.command!.includes(setting), setting)
  const [volume, path] = database.volumes![0]!.split(':')
  t.ok(Object.hasOwn(volumes, volume!), 'a volume with a name')
  t.equal(path, '/var/lib/postgresql')
  t.equal(database.ports, undefined)
  t.strictSame(networksOf(database), ['storage'])
  t.equal(networks['storage']!.internal, true)
  const neighbours = Object.entries(services).filter(([, service]) => networksOf(service).includes('storage'))
  t.strictSame(neighbours.map(([name]) => name).toSorted(), ['database', 'relay-1', 'relay-2'])
  for (const { depends_on: needed } of relays) t.match(needed, { database: { condition: 'service_healthy' } })
})

t.test('the gateway finds both relays by one name, and no admin port', async (t) => {
  t.ok(gateway.volumes!.includes('./deploy/gateway:/etc/gateway:ro'))
  t.ok(gateway.volumes!.includes('./deploy/gateway/replicas.conf:/etc/gateway/relay.conf:ro'))
  t.match(read('deploy/gateway/replicas.conf'), /^ *server relay:8080 resolve\b/m)
  t.strictSame(networksOf(gateway), ['front', 'inside'])
  t.equal(networks['inside']!.internal, true)
  for (const relay of relays) {
    t.match(place(relay, 'inside'), { aliases: ['relay'] })
    t.equal(relay.environment!['ADMIN_HOST'], place(relay, 'outside')?.ipv4_address)
    t.equal(relay.environment!['TRUST_PROXY'], `${place(gateway, 'inside')?.ipv4_address}/32`)
    for (const port of relay.ports!) t.match(port, /^127\.0\.0\.1:\d+:8081$/)
  }
  const addresses = Object.values(services).flatMap((service) =>
    ['inside', 'outside'].flatMap((network) => place(service, network)?.ipv4_address ?? []),
  )
  t.equal(new Set(addresses).size, 5, 'five addresses, each given once')
  t.equal(new Set(relays.flatMap(({ ports }) => ports)).size, 2)
})
