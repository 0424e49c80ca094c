/**
 * Who is logged in, and every request that the page makes. The admin token is sent once and kept nowhere: from then on the
 * browser has a cookie that no script can read, and this page a key that no other origin can.
 */

const LONGEST_LOOK_MS = 10_000
const KEY = 'pinrelay-session-key'

/** An answer that was no success; `message` is the relay's own, and `code` its word for programs. */
export class Refusal extends Error {
  /** @param {number} status @param {string} message @param {string} [code] */
  constructor(status, message, code) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** @type {(isWanted: boolean) => void} */
let onEnd = () => {}

/** @param {(isWanted: boolean) => void} listener called when the session is over: by `logOut`, or since the relay says so */
export function whenLoggedOut(listener) {
  onEnd = listener
}

export const isLoggedIn = () => localStorage.getItem(KEY) !== null

/** @param {string} adminToken */
export async function logIn(adminToken) {
  const { session_key: sessionKey } = await request('POST', '/session', { admin_token: adminToken }).catch(
    (/** @type {Refusal} */ error) => {
      throw error.status === 401 ? new Refusal(401, 'That is not the admin token.') : error
    },
  )
  localStorage.setItem(KEY, sessionKey)
}

export async function logOut() {
  await request('DELETE', '/session').catch(() => undefined)
  endSession(true)
}

/** @param {boolean} isWanted */
function endSession(isWanted) {
  localStorage.removeItem(KEY)
  onEnd(isWanted)
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>} what the route answers, as the API's reference has it
 */
export async function ask(method, path, body) {
  const key = localStorage.getItem(KEY)
  try {
    return await request(method, path, body)
  } catch (error) {
    const isOver = error instanceof Refusal && error.status === 401
    // A late answer to an earlier session does not end the one that was begun since.
    if (isOver && localStorage.getItem(KEY) === key) endSession(false)
    throw error
  }
}

/**
 * Server-sent events, until the relay or the signal ends them. Not an EventSource, which cannot send the session's key.
 * @param {string} path
 * @param {AbortSignal} signal
 * @param {(message: any) => void} onMessage
 */
export async function follow(path, signal, onMessage) {
  const { body } = await send('GET', path, undefined, signal)
  if (body === null) return
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  for (let text = ''; ;) {
    const { done, value } = await reader.read()
    if (done) return
    const messages = (text + value).split('\n\n')
    text = messages.pop() ?? ''
    for (const message of messages) {
      if (message.startsWith('data: ')) onMessage(JSON.parse(message.slice('data: '.length)))
    }
  }
}

/** Undefined without a login where it takes one: a session that is over does not end the page. @param {string} path */
export async function readDocument(path) {
  return request('GET', path).catch(() => undefined)
}

/** @param {string} method @param {string} path @param {unknown} [body] */
async function request(method, path, body) {
  const response = await send(method, path, body)
  return response.status === 204 ? undefined : response.json().catch(() => ({}))
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {AbortSignal} [signal]
 */
async function send(method, path, body, signal) {
  const key = localStorage.getItem(KEY)
  const response = await fetch(path, {
    method,
    headers: {
      ...(key === null ? {} : { 'x-pinrelay-session-key': key }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    // What hangs must not leave old figures as if they were new; a stream is ended by who began it.
    signal: signal ?? (method === 'GET' ? AbortSignal.timeout(LONGEST_LOOK_MS) : null),
  }).catch(() => {
    throw new Refusal(0, 'The relay does not answer.')
  })
  if (response.ok) return response
  const { message = `Status ${response.status}.`, code } = await response.json().catch(() => ({}))
  throw new Refusal(response.status, message, code)
}
