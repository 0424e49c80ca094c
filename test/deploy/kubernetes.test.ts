/** The chart: what its manifests must not lose when somebody edits them, and that they name the relay's settings and ports. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { Value } from 'typebox/value'
import { parse } from 'yaml'
import { LONGEST_CLOSE_MS, SettingsSchema } from '../../src/settings.ts'
import { CHART, DEFAULTS, isValid, readNotes, render, withDefaults, type Manifest } from './chart.ts'

interface Labels {
  readonly matchLabels: Readonly<Record<string, string>>
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
  readonly image: string
  readonly env: readonly EnvironmentVariable[]
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly startupProbe: Probe
  readonly livenessProbe: Probe
  readonly readinessProbe: Probe
  readonly resources: object
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
}

interface Deployment {
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

interface Service {
  readonly spec: {
    readonly type: string
    readonly selector: Readonly<Record<string, string>>
    readonly ports: readonly { readonly port: number; readonly targetPort: string }[]
  }
}

interface Budget {
  readonly spec: { readonly minAvailable: number; readonly selector: Labels }
}

interface Policy {
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
/** How long a start may make the tables: src/store/postgres/schema.ts. */
const MIGRATION_S = 600

const DATABASE = { store: 'postgres' }
const ALL = {
  ...DATABASE,
  ingress: {
    enabled: true,
    host: 'relay.example',
    className: 'nginx',
    tlsSecretName: 'relay-tls',
    annotations: { 'cert-manager.io/cluster-issuer': 'letsencrypt' },
  },
  networkPolicy: { enabled: true },
  serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
  prometheusRule: { enabled: true },
  autoscaling: { enabled: true },
}
/** With everything but the autoscaler, which leaves the replicas out. */
const shared = prepare()

function prepare() {
  const manifests = render({ ...ALL, autoscaling: { enabled: false } })
  const specOf = specsIn(manifests)
  const deployment = specOf('Deployment', 'shop') as Deployment['spec']
  const { spec: pod } = deployment.template
  return { manifests, specOf, deployment, pod, relay: pod.containers[0]! }
}

const { properties } = SettingsSchema

function specsIn(manifests: readonly Manifest[]) {
  return (kind: string, name: string): unknown => {
    const found = manifests.find((one) => one.kind === kind && one.metadata.name === name)
    if (found === undefined) throw new Error(`There is no ${kind} ${name}`)
    return found.spec
  }
}

const kindsOf = (given: readonly Manifest[]) => given.map(({ kind }) => kind).toSorted()

t.test('by default one relay with a volume, and nothing that a cluster may not know', async (t) => {
  const small = render()
  t.strictSame(kindsOf(small), ['Service', 'Service', 'StatefulSet'])
  const set = specsIn(small)('StatefulSet', 'shop') as Deployment['spec']
  t.match(set, {
    replicas: 1,
    volumeClaimTemplates: [
      { metadata: { name: 'data' }, spec: { resources: { requests: { storage: '20Gi' } } } },
    ],
  })
  const { containers } = set.template.spec
  t.match(containers[0]!.volumeMounts, [{ mountPath: '/tmp' }, { name: 'data', mountPath: '/data' }])
  t.equal(containers[0]!.env.find(({ name }) => name === 'DATABASE_URL')?.value, 'sqlite:/data/relay.db')
  t.match(readNotes(), /port-forward service\/shop-admin 8081[^]*exec -it statefulset\/shop -- relay init/)
})

t.test('replicas on PostgreSQL, with all that may be had', async (t) => {
  const { manifests, specOf } = shared
  const kinds = ['Ingress', 'NetworkPolicy', 'PodDisruptionBudget', 'PrometheusRule', 'ServiceMonitor']
  t.strictSame(kindsOf(manifests), ['Deployment', ...kinds, 'Service', 'Service'].toSorted())
  t.match(specOf('Ingress', 'shop'), {
    ingressClassName: 'nginx',
    tls: [{ hosts: ['relay.example'], secretName: 'relay-tls' }],
    rules: [{ host: 'relay.example', http: { paths: [{ path: '/v5/' }, { path: '/sources/' }] } }],
  })
  const scaled = render(ALL)
  t.notOk(
    Object.hasOwn(specsIn(scaled)('Deployment', 'shop') as Deployment['spec'], 'replicas'),
    'left to the autoscaler',
  )
  t.match(specsIn(scaled)('HorizontalPodAutoscaler', 'shop'), {
    scaleTargetRef: { kind: 'Deployment', name: 'shop' },
    metrics: [{}, { external: { metric: { name: 'relay_queue_age_seconds' }, target: { value: '300' } } }],
  })
})

t.test('the alerts are those of deploy/monitoring, and find the job', async (t) => {
  const { manifests, specOf } = shared
  const alerts = readFileSync(new URL('../../deploy/monitoring/alerts.yml', import.meta.url), 'utf8')
  const { groups } = specOf('PrometheusRule', 'shop') as { spec: { groups: readonly object[] } }['spec']
  t.strictSame(groups.slice(0, -1), (parse(alerts) as { groups: object[] }).groups)
  t.match(groups.at(-1), { rules: [{ record: 'pinrelay:queue_age_seconds' }] })
  t.match(specOf('ServiceMonitor', 'shop'), {
    jobLabel: 'app.kubernetes.io/name',
    endpoints: [{ port: 'admin', authorization: { credentials: { key: 'ADMIN_TOKEN' } } }],
  })
  const { labels } = manifests.find(({ kind }) => kind === 'ServiceMonitor')!.metadata
  t.match(labels, { 'app.kubernetes.io/name': 'pinrelay', release: 'prometheus' })
})

t.test('the schema takes the defaults, and refuses what would not work', async (t) => {
  t.ok(isValid(DEFAULTS))
  for (const values of [
    { store: 'mysql' },
    { autoscaling: { enabled: true } },
    { ingress: { enabled: true } },
    { settings: { MASTER_KEY: 'in the clear' } },
    { settings: { CALL_BURST: 10 } },
    { image: { digest: 'sha256:12' } },
    { postgres: { replicas: 0 } },
    { replicas: 3 },
  ])
    t.notOk(isValid(withDefaults(values)), JSON.stringify(values))
})

t.test('an image by digest, else by tag, else by the version of the chart', async (t) => {
  const imageOf = (image: object) =>
    (specsIn(render({ image }))('StatefulSet', 'shop') as Deployment['spec']).template.spec.containers[0]!
      .image
  const digest = `sha256:${'0'.repeat(64)}`
  t.equal(imageOf({ repository: 'a/b', tag: '1', digest }), `a/b@${digest}`)
  t.equal(imageOf({ repository: 'a/b', tag: '1' }), 'a/b:1')
  t.equal(imageOf({ repository: 'a/b' }), `a/b:${CHART['appVersion']}`)
  t.equal(CHART['appVersion'], CHART['version'])
})

t.test('the settings are those of the relay, with values that it takes', async (t) => {
  const { relay } = shared
  const plain = relay.env.map(({ name, value }) => [name, value] as const)
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
  const { manifests, relay } = shared
  t.notOk(manifests.some(({ kind }) => kind === 'Secret'))
  for (const { name, valueFrom } of relay.env) if (valueFrom) t.equal(valueFrom.secretKeyRef.key, name)
  t.ok(relay.env.every(({ value, valueFrom }) => (value === undefined) !== (valueFrom === undefined)))
  const required = relay.env.filter(({ valueFrom }) => valueFrom && !valueFrom.secretKeyRef.optional)
  t.strictSame(required.map(({ name }) => name).toSorted(), ['ADMIN_TOKEN', 'DATABASE_URL', 'MASTER_KEY'])
  for (const { valueFrom } of required) t.equal(valueFrom!.secretKeyRef.name, DEFAULTS['secretName'])
})

t.test('a pod is not root, writes nowhere but to memory, and has no rights', async (t) => {
  const { pod, relay } = shared
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
  const { specOf, deployment, pod } = shared
  t.ok(deployment.replicas >= 2)
  t.strictSame(deployment.strategy, {
    type: 'RollingUpdate',
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
  })
  t.ok(pod.topologySpreadConstraints.some(({ topologyKey }) => topologyKey === 'kubernetes.io/hostname'))
  const budget = specOf('PodDisruptionBudget', 'shop') as Budget['spec']
  t.equal(budget.minAvailable, 1)
  const { matchLabels } = deployment.selector
  t.match(deployment.template.metadata.labels, matchLabels)
  t.strictSame(budget.selector.matchLabels, matchLabels)
  for (const { labelSelector } of pod.topologySpreadConstraints)
    t.strictSame(labelSelector.matchLabels, matchLabels)
})

t.test('a relay is given the time that it takes to start and to end', async (t) => {
  const { deployment, pod, relay } = shared
  const { startupProbe, livenessProbe, readinessProbe } = relay
  const drainMs = Number(relay.env.find(({ name }) => name === 'DRAIN_MS')?.value)
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
  const { specOf, deployment, relay } = shared
  const valueOf = (name: string) => relay.env.find((one) => one.name === name)?.value
  t.strictSame(relay.ports, [
    { name: 'public', containerPort: Number(valueOf('PORT')) },
    { name: 'admin', containerPort: Number(valueOf('ADMIN_PORT')) },
  ])
  t.equal(valueOf('HOST'), '0.0.0.0')
  t.equal(valueOf('ADMIN_HOST'), '0.0.0.0')
  for (const [name, port] of [
    ['shop', 'public'],
    ['shop-admin', 'admin'],
  ] as const) {
    const spec = specOf('Service', name) as Service['spec']
    t.equal(spec.type, 'ClusterIP')
    t.strictSame(spec.selector, deployment.selector.matchLabels)
    t.strictSame(
      spec.ports.map(({ targetPort }) => targetPort),
      [port],
    )
  }

  const policy = specOf('NetworkPolicy', 'shop') as Policy['spec']
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
  const { specOf } = shared
  const { egress } = specOf('NetworkPolicy', 'shop') as Policy['spec']
  t.strictSame(
    egress.map(({ ports }) => ports.map(({ protocol, port }) => `${protocol} ${port}`)),
    [['UDP 53', 'TCP 53'], ['TCP 5432'], ['TCP 443']],
  )
  for (const { to } of egress) t.ok(to !== undefined && to.length > 0, 'not to everybody')
  t.match(egress[2]!.to, [{ ipBlock: { cidr: '0.0.0.0/0', except: Array } }, { ipBlock: { cidr: '::/0' } }])
  const { except } = (egress[2]!.to![0] as { ipBlock: { except: string[] } }).ipBlock
  for (const block of ['10.0.0.0/8', '169.254.0.0/16']) t.ok(except.includes(block), block)
})
