/** A client of a relay's admin port. */
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
    const response = await fetch((typeof adminUrl === 'string' ? adminUrl : adminUrl()) + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const { status, headers } = response
    return { status, headers, body: (await readBody(response)) as Record<string, unknown> }
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

export async function readBody(response: Response): Promise<unknown> {
  const text = await response.text()
  try {
    return JSON.parse(text)
  } catch {
    return { text }
  }
}
