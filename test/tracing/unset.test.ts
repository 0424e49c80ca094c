import { execFileSync } from 'node:child_process'
import t from 'tap'

t.test('without a collector nothing of the SDK is loaded', async (t) => {
  const script = `
    const { createRequire, registerHooks } = await import('node:module')
    const seen = []
    registerHooks({ resolve(name, context, next) { seen.push(name); return next(name, context) } })
    await import('./src/relay.ts')
    process.stdout.write(String(seen.filter((name) => /^@opentelemetry.(sdk|exporter|core|resources)/.test(name)).length) + ' of ' + seen.length)
  `
  const cwd = new URL('../..', import.meta.url)
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd,
    encoding: 'utf8',
  })
  t.match(printed, /^0 of \d{3,}$/)
})
