/**
 * Alerts and dashboard, held against what a relay really measures: every metric and every label that they name must be
 * there, or an alert would never fire and nobody would know.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { readMetrics } from '../support/admin.ts'
import { sendToSource } from '../console/stage.ts'
import { until } from '../support/clock.ts'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, setUp } from '../support/relay.ts'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly runbook_url: string }
}

interface Dashboard {
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: { readonly query: string } }[]
  }
  readonly panels: readonly {
    readonly title: string
    readonly description: string
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
    readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[]
  }[]
}

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const { groups } = parse(read('deploy/monitoring/alerts.yml')) as { groups: { rules: Rule[] }[] }
const rules = groups.flatMap((group) => group.rules)
const { panels, templating } = JSON.parse(
  read('deploy/monitoring/grafana/dashboards/pinrelay.json'),
) as Dashboard

/** What Prometheus adds itself. */
const SCRAPED = new Map([['up', new Set<string>()]])
/** They come with what they count: a token that expires, a grant that was refused, a day that is not like the others. */
const NOT_HERE: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['pinrelay_token_expiry_timestamp_seconds', new Set(['ad_account_id'])],
  ['pinrelay_account_over_share', new Set(['ad_account_id'])],
  ['pinrelay_account_needs_consent', new Set(['ad_account_id'])],
  ['pinrelay_volume_mark', new Set(['ad_account_id', 'event_name', 'direction'])],
])

/** The labels of each series of a relay that has seen a bit of everything. */
async function measure(): Promise<{ text: string; labelsOf: Map<string, Set<string>> }> {
  const stand = await setUp(t)
  await stand.post({ data: [rawEvent(), { event_name: 'checkout' }, rawEvent({ event_time: 'soon' })] })
  await stand.post({ data: [rawEvent({ user_data: { em: 'a@example.com', ph: 'n/a' } })] })
  stand.sandbox.faults.set([{ kind: 'failEvents', message: 'no good' }])
  await stand.post({ data: [rawEvent()] })
  stand.sandbox.faults.clear()
  await sendToSource(stand, 'shop', 'orders/create', false)
  stand.sandbox.tokens.set([])
  await stand.post({ data: [rawEvent()] }, { headers: { prefer: 'wait=1' } })
  let text = ''
  // It shows a look at the store that can be older than the post.
  await until(async () => (text = await readMetrics(stand.admin)).includes('\npinrelay_queue_events{'))
  const labelsOf = new Map<string, Set<string>>()
  for (const line of text.split('\n')) {
    const [, name, labels = ''] = /^([a-z0-9_:]+)(?:\{(.*)\})? /.exec(line) ?? []
    if (name === undefined) continue
    const known = labelsOf.get(name) ?? new Set()
    for (const [, label] of labels.matchAll(/(\w+)="/g)) known.add(label!)
    labelsOf.set(name, known)
  }
  return { text, labelsOf }
}

const { text, labelsOf } = await measure()

/** Metric names with the labels that are asked of them, and the labels that are grouped by. */
function namesIn(expression: string): { metrics: { name: string; labels: string[] }[]; grouped: string[] } {
  const metrics = [...expression.matchAll(/\b((?:pinrelay|nodejs|process)_\w+|up\b)(?:\{([^}]*)\})?/g)]
  const grouped = [...expression.matchAll(/\b(?:by|without|on) \(([^)]*)\)/g)].flatMap(([, list]) =>
    list!.split(', '),
  )
  return {
    metrics: metrics.map(([, name, labels = '']) => ({
      name: name!,
      labels: [...labels.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)].map(([, label]) => label!),
    })),
    grouped: grouped.filter((label) => label !== ''),
  }
}

t.test('every metric and label that an alert or a panel names is measured', async (t) => {
  const known = (name: string) => labelsOf.get(name) ?? NOT_HERE.get(name) ?? SCRAPED.get(name)
  const expressions = [
    ...rules.map(({ alert, expr, annotations }) => [alert, expr, annotations.summary] as const),
    ...panels.flatMap(({ title, targets }) =>
      targets.map(({ expr, legendFormat }) => [title, expr, legendFormat] as const),
    ),
  ]
  t.ok(expressions.length > 40)
  for (const [where, expression, shown] of expressions) {
    const { metrics, grouped } = namesIn(expression)
    t.ok(metrics.length > 0, `${where} names a metric`)
    t.equal(expression.match(/\(/g)?.length, expression.match(/\)/g)?.length, `${where} closes what it opens`)
    const labels = new Set<string>()
    for (const { name, labels: asked } of metrics) {
      const own = known(name)
      t.ok(own, `${where}: ${name}`)
      for (const label of own ?? []) labels.add(label)
      for (const label of asked) t.ok(label === 'job' || own?.has(label), `${where}: ${name}{${label}}`)
    }
    for (const label of grouped) t.ok(labels.has(label), `${where} groups by ${label}`)
    for (const [, label] of shown.matchAll(/\{\{ ?(?:\$labels\.)?(\w+) ?\}\}/g))
      t.ok(labels.has(label!), `${where} shows ${label}`)
  }
})

t.test('each alert says how bad it is, what happened, and where to read on', async (t) => {
  const operations = read('docs/when-paged.md')
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  for (const rule of rules) {
    t.match(rule.alert, /^Pinrelay[A-Z]\w+$/)
    t.match(rule.for, /^\d+[mh]$/)
    t.ok(['page', 'ticket'].includes(rule.labels.severity), rule.alert)
    t.ok(rule.annotations.summary)
    t.equal(rule.annotations.runbook_url, `{{ $externalLabels.runbooks }}#${rule.alert.toLowerCase()}`)
    t.match(operations, new RegExp(`^### ${rule.alert}$`, 'm'))
  }
  const explained = [...operations.matchAll(/^### (Pinrelay\w+)$/gm)].map(([, name]) => name!)
  t.same(
    new Set(explained),
    new Set(rules.map(({ alert }) => alert)),
    'and none is explained that is not there',
  )
})

t.test('the admin port answers to the name by which Prometheus scrapes it', async (t) => {
  const { scrape_configs: jobs } = parse(read('deploy/monitoring/prometheus.yml')) as {
    scrape_configs: { static_configs: { targets: string[] }[] }[]
  }
  const targets = jobs.flatMap((job) => job.static_configs.flatMap((settings) => settings.targets))
  for (const file of ['docker-compose.yml', 'docker-compose.replicas.yml']) {
    const names = /ADMIN_HOSTS: '\$\{ADMIN_HOSTS:-([^}]*)\}'/.exec(read(file))?.[1]?.split(',')
    for (const target of targets) t.ok(names?.includes(target.split(':')[0]!), `${file}: ${target}`)
  }
})

t.test('panels say what they show, and have one account where they can', async (t) => {
  t.match(templating.list, [
    { name: 'account', query: { query: /^label_values\(pinrelay_account_events_total, / } },
  ])
  for (const { title, description, targets } of panels) {
    t.match(description, /^[A-Z0-9].*\.$/, title)
    for (const { expr } of targets) {
      const isPerAccount = namesIn(expr).metrics.some(({ name }) =>
        (labelsOf.get(name) ?? NOT_HERE.get(name))?.has('ad_account_id'),
      )
      if (isPerAccount && !title.startsWith('Oldest') && !title.startsWith('Queues that'))
        t.match(expr, 'ad_account_id=~"$account"', title)
    }
  }
  const { global } = parse(read('deploy/monitoring/prometheus.yml')) as {
    global: { external_labels: object }
  }
  t.strictSame(global.external_labels, { runbooks: '${RUNBOOK_URL}' })
})

t.test('panels do not overlap', async (t) => {
  for (const [index, { title, gridPos: one }] of panels.entries()) {
    t.ok(one.x + one.w <= 24, title)
    for (const { title: otherTitle, gridPos: other } of panels.slice(index + 1)) {
      const isApart =
        one.x + one.w <= other.x ||
        other.x + other.w <= one.x ||
        one.y + one.h <= other.y ||
        other.y + other.h <= one.y
      t.ok(isApart, `${title} and ${otherTitle}`)
    }
  }
})

t.test('metrics are named as the field does, and hold nothing of a customer', async (t) => {
  const types = new Map([...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => [name!, type!]))
  const helps = new Map([...text.matchAll(/^# HELP (\w+) (.+)$/gm)].map(([, name, help]) => [name!, help!]))
  const own = [...types].filter(([name]) => name.startsWith('pinrelay_'))
  t.ok(own.length > 20)
  for (const [name, type] of own) {
    t.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`)
    t.match(helps.get(name), /^[A-Z0-9].*\.$/, `${name} says what it is`)
    t.notMatch(name, /_(ms|milliseconds|minutes|kb|mb|mib)(_|$)/, 'base units')
    t.notMatch(name, /_age_|(?<!timestamp|duration|wait)_seconds$/, 'the time of an event, not its age')
    if (type === 'histogram' && !/_(events|operations)$/.test(name)) t.match(name, /_seconds$/)
  }
  t.notMatch(text, /example\.com|Mozilla|203\.0\.113|pina_/)
  t.match(
    text,
    `pinrelay_queue_stopped{ad_account_id="${ACCOUNT}",queue="live",status="unauthorized",urgency="3"} 1`,
  )
  t.match(text, /pinrelay_totals_events\{entry="received"\} 4\n/)
  t.match(text, /pinrelay_events_invalid_total\{reason="missing_field"\} 1\n/)
  t.match(text, /pinrelay_dead_letters_total\{reason="\w+"\} 1\n/)
  t.match(text, /pinrelay_post_stage_duration_seconds_count\{stage="outcome"\} 4\n/)
  t.match(text, new RegExp(`pinrelay_queue_events\\{ad_account_id="${ACCOUNT}",queue="live"\\} 1\\n`))
  t.match(
    text,
    new RegExp(
      `pinrelay_queue_oldest_event_timestamp_seconds\\{ad_account_id="${ACCOUNT}",queue="live"\\} \\d{10}\\n`,
    ),
  )
})
