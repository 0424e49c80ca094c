/** A client of a relay's admin port. */
import { request } from 'undici'

export interface AdminAnswer {
  readonly status: number
  readonly headers: Headers
  /** `{text}` for an answer that is not JSON. */
  readonly body: Record<string, unknown>
}

export type Admin = (method: string, path: string, body?: unknown) => Promise<AdminAnswer>

/** `adminUrl` is a function where the port changes with a restart. */
export function createAdmin(adminUrl: string | (() => string), token: string): Admin {
  return async (method, path, body) => {
    const answer = await ask((typeof adminUrl === 'string' ? adminUrl : adminUrl()) + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    })
    return { ...answer, body: answer.body as Record<string, unknown> }
  }
}

/** The body of an answer that must be a good one. */
export async function askAdmin<Body>(
  admin: Admin,
  method: string,
  path: string,
  body?: unknown,
): Promise<Body> {
  const answer = await admin(method, path, body)
  if (answer.status >= 400)
    throw new Error(`${method} ${path} got ${answer.status}: ${JSON.stringify(answer.body)}`)
  return answer.body as Body
}

export async function readMetrics(admin: Admin): Promise<string> {
  return (await askAdmin<{ text: string }>(admin, 'GET', '/metrics')).text
}

/** Registers these accounts, and answers a relay key for all of them. */
export async function registerAccounts(
  admin: Admin,
  adAccountIds: readonly string[],
  describe: (adAccountId: string) => object = (id) => ({
    access_token: `pina_token_of_${id}`,
    country: 'US',
  }),
): Promise<string> {
  for (const id of adAccountIds) await askAdmin(admin, 'PUT', `/accounts/${id}`, describe(id))
  const key = { label: 'test', ad_account_ids: adAccountIds }
  return (await askAdmin<{ key: string }>(admin, 'POST', '/keys', key)).key
}

/** As `fetch` does, for half of the CPU: tests ask thousands of questions. */
export async function ask(url: string, options: Parameters<typeof request>[1]) {
  const { statusCode: status, headers, body } = await request(url, options)
  const text = await body.text()
  const entries = Object.entries(headers).map(([name, value]) => [name, String(value)] as [string, string])
  return { status, headers: new Headers(entries), body: parse(text) }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return { text }
  }
}
