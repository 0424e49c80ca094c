/**
 * Pinterest's consent page at `/oauth/`: says who asks for what, and redirects back with a code or with a refusal. A form
 * field `user` chooses who consents, where the sandbox has several.
 */
import type { Answer } from './answer.ts'
import type { Grants } from './grants.ts'
import type { OauthClient } from './oauth.ts'

export interface ConsentPage {
  /** The page itself, for the query of the address that the app made. */
  show(query: URLSearchParams): Answer
  /** The form's answer: a redirect. */
  decide(form: URLSearchParams): Answer
}

export interface ConsentPageOptions {
  readonly grants: Grants
  /** Without it every client id is taken. */
  readonly clients: readonly OauthClient[] | undefined
}

const KNOWN_SCOPES: ReadonlySet<string> = new Set([
  'ads:read',
  'ads:write',
  'billing:read',
  'billing:write',
  'biz_access:read',
  'biz_access:write',
  'boards:read',
  'boards:write',
  'catalogs:read',
  'catalogs:write',
  'pins:read',
  'pins:write',
  'user_accounts:read',
])

const FIELDS = ['client_id', 'redirect_uri', 'response_type', 'scope', 'state'] as const

export function createConsentPage({ grants, clients }: ConsentPageOptions): ConsentPage {
  function findProblem(query: URLSearchParams): string | undefined {
    const [clientId, redirectUri, responseType, scope] = FIELDS.map((name) => query.get(name) ?? '')
    if (!clientId || clients?.some((client) => client.clientId === clientId) === false) {
      return 'client_id is unknown'
    }
    if (!/^https?:$/.test(URL.parse(redirectUri!)?.protocol ?? '')) {
      return 'redirect_uri is no http or https URL'
    }
    if (responseType !== 'code') return 'response_type must be code'
    const unknown = scope!.split(/[\s,]+/).find((one) => !KNOWN_SCOPES.has(one))
    return unknown === undefined ? undefined : 'scope is unknown'
  }

  return {
    show(query) {
      const problem = findProblem(query)
      if (problem !== undefined) return page(400, `<h1>Error</h1><p>${problem}</p>`)
      const hidden = FIELDS.map(
        (name) => `<input type="hidden" name="${name}" value="${escape(query.get(name) ?? '')}">`,
      )
      const options = grants.users.map(({ name }) => `<option>${escape(name)}</option>`)
      return page(
        200,
        `<h1>Sandbox: may this app use your ad accounts?</h1>
<p>App ${escape(query.get('client_id') ?? '')} asks for ${escape(query.get('scope') ?? '')}.</p>
<form method="post" action="/oauth/">${hidden.join('')}
<p><label>As <select name="user">${options.join('')}</select></label></p>
<button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button></form>`,
      )
    },

    decide(form) {
      const problem = findProblem(form)
      if (problem !== undefined) return page(400, `<h1>Error</h1><p>${problem}</p>`)
      const back = new URL(form.get('redirect_uri')!)
      if (form.get('decision') === 'allow') {
        const user = form.get('user')
        const code = grants.makeCode({
          clientId: form.get('client_id')!,
          scope: form
            .get('scope')!
            .split(/[\s,]+/)
            .join(','),
          redirectUri: form.get('redirect_uri')!,
          ...(user !== null && { user }),
        })
        back.searchParams.set('code', code)
      } else {
        back.searchParams.set('error', 'access_denied')
      }
      const state = form.get('state')
      if (state !== null) back.searchParams.set('state', state)
      return { status: 302, body: Buffer.alloc(0), headers: { location: back.href } }
    },
  }
}

function page(status: number, body: string): Answer {
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox</title>${body}</html>`
  return { status, body: Buffer.from(html), headers: { 'content-type': 'text/html; charset=utf-8' } }
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
