/** The manifests: what they must not lose when somebody edits them, and that they name the relay's settings and ports. */
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { Value } from 'typebox/value'
import { parse, parseAllDocuments } from 'yaml'
import { LONGEST_CLOSE_MS, SettingsSchema } from '../../src/settings.ts'

interface Labels {
  readonly matchLabels: Readonly<Record<string, string>>
}

interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
}

interface EnvironmentVariable {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: {
    readonly secretKeyRef: { readonly name: string; readonly key: string; readonly optional?: boolean }
  }
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
  readonly periodSeconds: number
  readonly failureThreshold: number
}

interface Container {
  readonly envFrom: readonly { readonly configMapRef: { readonly name: string } }[]
  readonly env: readonly EnvironmentVariable[]
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly startupProbe: Probe
  readonly livenessProbe: Probe
  readonly readinessProbe: Probe
  readonly resources: object
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
}

interface Deployment extends Manifest {
  readonly spec: {
    readonly replicas: number
    readonly selector: Labels
    readonly strategy: object
    readonly progressDeadlineSeconds: number
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> }
      readonly spec: {
        readonly containers: readonly Container[]
        readonly terminationGracePeriodSeconds: number
        readonly topologySpreadConstraints: readonly {
          readonly topologyKey: string
          readonly labelSelector: Labels
        }[]
        readonly volumes: readonly object[]
      }
    }
  }
}

interface Service extends Manifest {
  readonly spec: {
    readonly type: string
    readonly selector: Readonly<Record<string, string>>
    readonly ports: readonly { readonly port: number; readonly targetPort: string }[]
  }
}

interface Budget extends Manifest {
  readonly spec: { readonly minAvailable: number; readonly selector: Labels }
}

interface Policy extends Manifest {
  readonly spec: {
    readonly podSelector: Labels
    readonly policyTypes: readonly string[]
    readonly ingress: readonly PolicyRule[]
    readonly egress: readonly PolicyRule[]
  }
}

interface PolicyRule {
  readonly from?: readonly object[]
  readonly to?: readonly object[]
  readonly ports: readonly { readonly protocol: string; readonly port: number }[]
}

/** For a change of endpoints to reach every node and ingress. */
const PROPAGATION_MS = 5000
/** How long a start may make the tables: src/store/postgres/make-tables.ts. */
const MIGRATION_S = 600

const FOLDER = new URL('../../deploy/kubernetes/', import.meta.url)
const read = (name: string) => readFileSync(new URL(name, FOLDER), 'utf8')
const { resources } = parse(read('kustomization.yaml')) as { resources: string[] }
const manifests = resources.flatMap((name) =>
  parseAllDocuments(read(name)).map((document) => document.toJS() as Manifest),
)
const { spec: deployment } = find('Deployment', 'pinrelay') as Deployment
const { spec: pod, metadata: podMetadata } = deployment.template
const relay = pod.containers[0]!
const settings = (find('ConfigMap', 'pinrelay-settings') as Manifest & { data: Record<string, string> }).data
const { properties } = SettingsSchema

function find(kind: string, name: string): Manifest {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name)
  if (found === undefined) throw new Error(`There is no ${kind} ${name}`)
  return found
}

t.test('every manifest is applied but the example, and none chooses a namespace', async (t) => {
  const files = readdirSync(FOLDER).filter((name) => name !== 'kustomization.yaml')
  t.strictSame(files.toSorted(), [...resources, 'secret.example.yaml'].toSorted())
  t.ok(manifests.every(({ metadata }) => metadata.namespace === undefined))
  t.notOk(manifests.some(({ kind }) => kind === 'Secret'))
})

t.test('the settings are those of the relay, with values that it takes', async (t) => {
  const { env, envFrom } = relay
  t.strictSame(envFrom, [{ configMapRef: { name: 'pinrelay-settings' } }])
  const plain = [...Object.entries(settings), ...env.map(({ name, value }) => [name, value] as const)]
  t.equal(new Set(plain.map(([name]) => name)).size, plain.length, 'each is set once')
  for (const [name, value] of plain) {
    t.ok(Object.hasOwn(properties, name), name)
    if (value === undefined || value === '') continue
    const schema = properties[name as keyof typeof properties]
    const given = 'type' in schema && schema.type === 'integer' ? Number(value) : value
    t.ok(Value.Check(schema, given), `${name} is ${value}`)
  }
})

t.test('what is secret comes from a secret that is not here', async (t) => {
  const secret = parse(read('secret.example.yaml')) as Manifest & { stringData: Record<string, string> }
  for (const { name, valueFrom } of relay.env) if (valueFrom) t.equal(valueFrom.secretKeyRef.key, name)
  t.ok(relay.env.every(({ value, valueFrom }) => (value === undefined) !== (valueFrom === undefined)))
  const required = relay.env.filter(({ valueFrom }) => valueFrom && !valueFrom.secretKeyRef.optional)
  t.strictSame(required.map(({ name }) => name).toSorted(), ['ADMIN_TOKEN', 'DATABASE_URL', 'MASTER_KEY'])
  for (const { valueFrom } of required) t.equal(valueFrom!.secretKeyRef.name, secret.metadata.name)
  t.strictSame(new Set(Object.keys(secret.stringData)), new Set(required.map(({ name }) => name)))
  t.strictSame([...new Set(Object.values(secret.stringData))], ['REPLACE-ME'])
})

t.test('a pod is not root, writes nowhere but to memory, and has no rights', async (t) => {
  t.match(pod, {
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
  })
  t.equal(pod.containers.length, 1)
  t.match(relay, {
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    resources: { requests: { cpu: String, memory: String }, limits: { memory: String } },
  })
  t.strictSame(relay.volumeMounts, [{ name: 'tmp', mountPath: '/tmp' }])
  t.match(pod.volumes, [{ name: 'tmp', emptyDir: { medium: 'Memory' } }])
  for (const banned of ['hostNetwork', 'hostPID', 'hostIPC']) t.notOk(Object.hasOwn(pod, banned), banned)
})

t.test('two replicas on two nodes, and never fewer while they are replaced', async (t) => {
  t.ok(deployment.replicas >= 2)
  t.strictSame(deployment.strategy, {
    type: 'RollingUpdate',
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
  })
  t.ok(pod.topologySpreadConstraints.some(({ topologyKey }) => topologyKey === 'kubernetes.io/hostname'))
  const budget = (find('PodDisruptionBudget', 'pinrelay') as Budget).spec
  t.equal(budget.minAvailable, 1)
  const { matchLabels } = deployment.selector
  t.match(podMetadata.labels, matchLabels)
  t.strictSame(budget.selector.matchLabels, matchLabels)
  for (const { labelSelector } of pod.topologySpreadConstraints)
    t.strictSame(labelSelector.matchLabels, matchLabels)
})

t.test('a relay is given the time that it takes to start and to end', async (t) => {
  const { startupProbe, livenessProbe, readinessProbe } = relay
  const drainMs = Number(settings['DRAIN_MS'])
  const unreadyMs = readinessProbe.periodSeconds * readinessProbe.failureThreshold * 1000
  t.ok(
    drainMs >= unreadyMs + PROPAGATION_MS,
    `no post is sent any more when the port closes after ${drainMs} ms`,
  )
  t.ok(pod.terminationGracePeriodSeconds * 1000 > drainMs + LONGEST_CLOSE_MS)
  t.notOk(Object.hasOwn(relay, 'lifecycle'), 'the relay waits itself: a preStop hook would count as well')
  for (const alive of [startupProbe, livenessProbe])
    t.strictSame(alive.httpGet, { path: '/livez', port: 'public' })
  t.strictSame(readinessProbe.httpGet, { path: '/readyz', port: 'public' })
  const startS = startupProbe.periodSeconds * startupProbe.failureThreshold
  t.ok(startS > MIGRATION_S, `${startS} s`)
  t.ok(deployment.progressDeadlineSeconds > startS)
})

t.test('the admin port has a service of its own, and only monitoring gets there', async (t) => {
  const valueOf = (name: string) => relay.env.find((one) => one.name === name)?.value
  t.strictSame(relay.ports, [
    { name: 'public', containerPort: Number(valueOf('PORT')) },
    { name: 'admin', containerPort: Number(valueOf('ADMIN_PORT')) },
  ])
  t.equal(valueOf('HOST'), '0.0.0.0')
  t.equal(valueOf('ADMIN_HOST'), '0.0.0.0')
  for (const [name, port] of [
    ['pinrelay', 'public'],
    ['pinrelay-admin', 'admin'],
  ] as const) {
    const { spec } = find('Service', name) as Service
    t.equal(spec.type, 'ClusterIP')
    t.strictSame(spec.selector, deployment.selector.matchLabels)
    t.strictSame(
      spec.ports.map(({ targetPort }) => targetPort),
      [port],
    )
  }

  const { spec: policy } = find('NetworkPolicy', 'pinrelay') as Policy
  t.strictSame(policy.podSelector.matchLabels, deployment.selector.matchLabels)
  t.strictSame(policy.policyTypes, ['Ingress', 'Egress'])
  const sourcesOf = (port: string | undefined) =>
    policy.ingress
      .filter(({ ports }) => ports.some((one) => one.port === Number(port)))
      .flatMap(({ from }) => from)
  const namespace = (label: string) => [{ namespaceSelector: { matchLabels: { [label]: 'true' } } }]
  t.strictSame(sourcesOf(valueOf('PORT')), namespace('pinrelay.example/gateway'))
  t.strictSame(sourcesOf(valueOf('ADMIN_PORT')), namespace('pinrelay.example/monitoring'))
  t.equal(policy.ingress.length, 2)
})

t.test('a relay gets to names, the database, and Pinterest, and nowhere else', async (t) => {
  const { egress } = (find('NetworkPolicy', 'pinrelay') as Policy).spec
  t.strictSame(
    egress.map(({ ports }) => ports.map(({ protocol, port }) => `${protocol} ${port}`)),
    [['UDP 53', 'TCP 53'], ['TCP 5432'], ['TCP 443']],
  )
  for (const { to } of egress) t.ok(to !== undefined && to.length > 0, 'not to everybody')
  t.match(egress[2]!.to, [{ ipBlock: { cidr: '0.0.0.0/0', except: Array } }, { ipBlock: { cidr: '::/0' } }])
  const { except } = (egress[2]!.to![0] as { ipBlock: { except: string[] } }).ipBlock
  for (const block of ['10.0.0.0/8', '169.254.0.0/16']) t.ok(except.includes(block), block)
})
