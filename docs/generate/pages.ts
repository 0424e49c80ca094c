/**
 * What of the documentation is made from the code: whole pages, and tables between markers in pages written by hand. Pure; the
 * formatter lays them out afterwards.
 */
import type { SettingsSchema } from '../../src/settings.ts'
import { HOLD_REASONS } from '../../src/delivery/decision.ts'
import { STATUSES, type StatusFacts } from '../../src/delivery/queue-status.ts'
import { FILTERED, WARNINGS } from '../../src/events/reasons.ts'
import { typeOf, type Metric } from '../../src/telemetry/metrics.ts'
import { renderApi, type OpenApi } from './api.ts'

export interface Facts {
  /** The descriptions of the public and the admin port. */
  readonly documents: readonly OpenApi[]
  readonly settings: (typeof SettingsSchema)['properties']
  readonly metrics: readonly Metric[]
  /** A page as it is now, by its path from the project's root. */
  readPage(path: string): string
}

/** The new text of each generated page, by its path from the project's root. */
export function renderPages(facts: Facts): ReadonlyMap<string, string> {
  const replace = (path: string, name: string, table: string): readonly [string, string] => [
    path,
    replaceTable(facts.readPage(path), name, table),
  ]
  return new Map([
    ['docs/api.md', renderApi(facts.documents)],
    ['docs/settings.md', SETTINGS_OPENING + renderSettings(facts.settings)],
    ['docs/metrics.md', METRICS_OPENING + renderMetrics(facts.metrics)],
    replace(
      'docs/normalization.md',
      'warnings',
      renderTable(
        ['code', 'meaning'],
        Object.entries(WARNINGS).map(([code, { text }]) => [`\`${code}\``, text]),
      ),
    ),
    replace(
      'docs/custom-sources.md',
      'filtered',
      renderTable(
        ['reason', 'meaning'],
        Object.entries(FILTERED).map(([reason, text]) => [`\`${reason}\``, text]),
      ),
    ),
    replace('docs/operate.md', 'statuses', renderStatuses(Object.entries(STATUSES))),
    replace(
      'docs/when-paged.md',
      'statuses',
      renderStatuses(
        ([...HOLD_REASONS, 'reauthorize', 'no_account'] as const).map((name) => [name, STATUSES[name]]),
      ),
    ),
  ])
}

function renderStatuses(statuses: readonly (readonly [string, StatusFacts])[]): string {
  return renderTable(
    ['status', 'meaning', 'what to do'],
    statuses.map(([name, { means, remedy }]) => [
      `\`${name}\``,
      means,
      remedy?.replaceAll(/\b(account (?:resume|set|verify))\b/g, '`relay $1 ID`') ?? '',
    ]),
  )
}

const SETTINGS_OPENING = `# Settings

Environment variables, read once at the start. A bad one stops the start, and every problem is named. An empty one counts as unset.
\`relay settings\` shows each with its value in force, secrets masked.

`

function renderSettings(settings: Facts['settings']): string {
  return renderTable(
    ['name', 'default', 'must be', 'what it does'],
    Object.entries(settings).map(([name, schema]) => {
      const { rule, description } = schema as { readonly rule?: string; readonly description?: string }
      const fallback = 'default' in schema && schema.default !== '' ? `\`${String(schema.default)}\`` : ''
      return [`\`${name}\``, fallback, rule?.replace('a whole number from ', '') ?? '', description ?? '']
    }),
  )
}

const METRICS_OPENING = `# Metrics

\`GET /metrics\` on the admin port, in Prometheus' format; without a token when \`METRICS_OPEN=true\`. Counters count since this process
started; the totals (\`GET /totals\`) since the store began. \`deploy/monitoring/\` has alerts and a Grafana dashboard. Beside these
there are Node's own (\`nodejs_…\`, \`process_…\`).

`

function renderMetrics(metrics: readonly Metric[]): string {
  return renderTable(
    ['name', 'type', 'labels', 'what it is'],
    metrics
      .toSorted((one, other) => (one.name < other.name ? -1 : 1))
      .map(({ name, help, labels = [], buckets }) => [
        `\`${name}\``,
        typeOf({ name, buckets }),
        labels.map((label) => `\`${label}\``).join(', '),
        help,
      ]),
  )
}

function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows]
  return lines
    .map((cells) => `| ${cells.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |\n`)
    .join('')
}

/** Between `<!-- NAME -->` and `<!-- end -->`. */
function replaceTable(page: string, name: string, table: string): string {
  const marker = `<!-- ${name} -->\n`
  const start = page.indexOf(marker) + marker.length
  const end = page.indexOf('<!-- end -->', start)
  if (start < marker.length || end < 0) throw new Error(`The page has no markers for ${name}`)
  return `${page.slice(0, start)}\n${table}\n${page.slice(end)}`
}
