/** What runs on GitHub, as far as it can be checked elsewhere; and what comes with the relay when it is published. */
import { globSync, readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { releaseNotes } from '../../.github/release-notes.ts'

interface Workflow {
  readonly permissions: unknown
  readonly jobs: Readonly<Record<string, { readonly 'timeout-minutes'?: number }>>
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string) => readFileSync(root + path, 'utf8')
const workflows = globSync('.github/workflows/*.yml', { cwd: root })

// It is made for bundlers: its JSON files are imported without saying so.
const hooks = registerHooks({
  load: (url, context, next) =>
    next(url, url.endsWith('.json') ? { ...context, importAttributes: { type: 'json' } } : context),
})
const { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } =
  await import('@actions/workflow-parser')
hooks.deregister()

t.test("GitHub's own parser finds nothing in the workflows", async (t) => {
  const faultsOf = async (name: string, content: string) => {
    const { context, value } = parseWorkflow({ name, content }, new NoOperationTraceWriter())
    if (value !== undefined) await convertWorkflowTemplate(context, value)
    return context.errors.getErrors().map(({ message }) => message)
  }
  t.match(
    await faultsOf(
      'a',
      'on: push\njobs: { a: { runs-on: x, needs: b, steps: [{ run: "${{ git.ref }}" }] } }',
    ),
    [/Unrecognized named-value: 'git'/],
  )
  t.ok(workflows.length > 2)
  for (const path of workflows) t.strictSame(await faultsOf(path, read(path)), [], path)
})

t.test(
  'each action is a commit with its version, each job ends, and may only read unless it says so',
  async (t) => {
    for (const path of workflows) {
      const text = read(path)
      for (const [, action] of text.matchAll(/uses: (.+)/g))
        t.match(action, /^[\w-]+\/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/, path)
      const { permissions, jobs } = parse(text) as Workflow
      t.strictSame(permissions, { contents: 'read' }, path)
      for (const [name, job] of Object.entries(jobs))
        t.type(job['timeout-minutes'], 'number', `${path}: ${name}`)
    }
  },
)

t.test('one version of an action everywhere', async (t) => {
  const seen = new Map<string, string>()
  for (const [, name, version] of workflows
    .map(read)
    .join('')
    .matchAll(/uses: (\S+)@(.+)/g))
    t.equal(seen.get(name!) ?? version, seen.set(name!, version!).get(name!), name!)
})

t.test('updates are proposed for all that is pinned', async (t) => {
  const { updates } = parse(read('.github/dependabot.yml')) as { updates: { 'package-ecosystem': string }[] }
  const kinds = updates.map((update) => update['package-ecosystem']).toSorted()
  t.strictSame(kinds, ['docker', 'docker-compose', 'github-actions', 'npm'])
})

t.test("issue forms have what GitHub's schema asks for", async (t) => {
  const forms = globSync('.github/ISSUE_TEMPLATE/*.yml', { cwd: root }).filter(
    (path) => !path.endsWith('config.yml'),
  )
  t.equal(forms.length, 2)
  for (const path of forms) {
    const form = parse(read(path)) as Record<string, string> & { body: { type: string; id?: string }[] }
    t.match(form, { name: String, description: String, body: Array }, path)
    const fields = form.body.filter(({ type }) => type !== 'markdown')
    t.equal(new Set(fields.map(({ id }) => id)).size, fields.length, 'each has an id of its own')
    for (const field of fields)
      t.match(field, { type: /^(input|textarea)$/, id: /^[a-z-]+$/, attributes: { label: String } })
  }
})

t.test("a release has the changelog's part of its version, and only then", async (t) => {
  const changelog = '# Changelog\n\n## 0.2.0, 2026-12-01\n\n- new\n\n## 0.1.0, not released\n\n- first\n'
  const [next, first] = [{ 'package.json': '0.2.0' }, { 'package.json': '0.1.0' }]
  t.equal(releaseNotes('v0.2.0', changelog, next), '- new\n')
  t.throws(() => releaseNotes('v0.1.0', changelog, first), /0\.1\.0 is not released/)
  t.throws(
    () => releaseNotes('v0.2.0', changelog, first),
    /package\.json has version 0\.1\.0, the tag is v0\.2\.0/,
  )
  t.throws(() => releaseNotes('v0.2', changelog, { 'package.json': '0.2' }), /no part for 0\.2$/)
})

t.test('relay, client and chart have one version', async (t) => {
  const versionOf = (path: string) => (parse(read(path)) as { version: string }).version
  const version = versionOf('package.json')
  for (const path of ['package-lock.json', 'client/package.json', 'deploy/chart/Chart.yaml'])
    t.equal(versionOf(path), version, path)
  t.match(read('CHANGELOG.md'), new RegExp(`^## ${version}, `, 'm'))
})

t.test('what is shipped with the relay may be', async (t) => {
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { dev?: boolean; license?: string }>
  }
  const allowed = new Set(['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', 'Unlicense'])
  const shipped = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true)
  t.ok(shipped.length > 50)
  for (const [path, { license = 'none' }] of shipped) t.ok(allowed.has(license), `${path}: ${license}`)
})
