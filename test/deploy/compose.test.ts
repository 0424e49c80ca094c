/** Both compose files: what each service must have. That they start is shown where a Docker engine runs (.github/workflows/ci.yml). */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'

interface Service {
  readonly image: string
  readonly build?: string
  readonly mem_limit?: string
  readonly healthcheck?: { readonly test?: readonly string[] }
  readonly networks: Readonly<Record<string, { readonly ipv4_address: string }>>
  readonly depends_on: object
}

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

for (const file of ['docker-compose.yml', 'docker-compose.replicas.yml']) {
  const { services } = parse(read(file), { merge: true }) as { services: Record<string, Service> }

  t.test(`${file}: memory is bounded, and images of others are the ones that were tried`, async (t) => {
    for (const [name, { mem_limit: limit, image, build }] of Object.entries(services)) {
      t.match(limit, /^\d+[mg]$/, `${name} has a limit`)
      if (build === undefined) t.match(image, /^[\w/-]+:[\w.-]+@sha256:[0-9a-f]{64}$/, name)
    }
  })

  t.test(`${file}: the gateway is asked whether it answers`, async (t) => {
    const { healthcheck } = services['gateway']!
    t.match(healthcheck?.test?.[1], /127\.0\.0\.1:8080\/.*grep -q ' 404 '/)
    t.match(read('deploy/gateway/nginx.conf'), /location \/ \{\s+return 404;/)
  })
}

t.test('the gateway believes the address of whoever ends TLS, and of no other', async (t) => {
  const { services } = parse(read('docker-compose.yml'), { merge: true }) as {
    services: Record<string, Service>
  }
  const { networks, depends_on: first } = services['tls']!
  t.strictSame(Object.keys(networks), ['front'], 'it does not reach the relay itself')
  t.match(first, { gateway: { condition: 'service_healthy' } })
  const address = networks['front']!.ipv4_address.replace(/\$\{FRONT_NET:-([\d.]+)\}/, '$1')
  const trusted = read('deploy/gateway/listen.conf').matchAll(/^set_real_ip_from (.+);$/gm)
  t.strictSame(
    Array.from(trusted, ([, one]) => one),
    [address],
  )
  t.match(read('deploy/gateway/Caddyfile'), /\{\$TLS_HOST\} \{[^]*reverse_proxy gateway:8080/)
})
