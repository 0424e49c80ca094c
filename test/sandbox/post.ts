/** An event that Pinterest takes without a word, and a plain way to post it. */
import type { Sandbox } from '../../sandbox/sandbox.ts'

export const HASH = 'a1'.repeat(32)
export const ACCOUNT = '549755885175'

export function makeEvent(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    event_name: 'checkout',
    action_source: 'web',
    event_time: 1_760_000_000,
    event_id: 'event-1',
    user_data: { em: [HASH] },
    ...changes,
  }
}

export interface Posted {
  readonly status: number
  readonly headers: Headers
  readonly body: {
    readonly code?: number
    readonly message?: string
    readonly num_events_received?: number
    readonly num_events_processed?: number
    readonly events?: readonly Result[]
    readonly details?: { readonly num_events_processed: number; readonly events: readonly Result[] }
  }
}

export interface Result {
  readonly status: string
  readonly error_message: string
  readonly warning_message: string
}

export interface PostChanges {
  readonly adAccountId?: string
  readonly query?: string
  readonly token?: string | null
  readonly headers?: Record<string, string>
  readonly method?: string
  /** Text or bytes are posted as they are. */
  readonly body?: unknown
  readonly signal?: AbortSignal
}

export async function post(sandbox: Sandbox, changes: PostChanges = {}): Promise<Posted> {
  const response = await postRaw(sandbox, changes)
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Posted['body'],
  }
}

export function postRaw(sandbox: Sandbox, changes: PostChanges = {}): Promise<Response> {
  const { adAccountId = ACCOUNT, query = '', token = 'pina_token-1234', method = 'POST', signal } = changes
  const body = changes.body ?? { data: [makeEvent()] }
  const isRaw = typeof body === 'string' || body instanceof Uint8Array
  return fetch(`${sandbox.url}/ad_accounts/${adAccountId}/events${query}`, {
    method,
    redirect: 'manual',
    headers: {
      'content-type': 'application/json',
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...changes.headers,
    },
    ...(method === 'POST' && {
      body: isRaw ? (body as NonNullable<RequestInit['body']>) : JSON.stringify(body),
    }),
    ...(signal !== undefined && { signal }),
  })
}

export async function control(
  sandbox: Sandbox,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const response = await fetch(`${sandbox.origin}/_sandbox/${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
