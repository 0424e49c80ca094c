/** Accounts: registered, changed, listed, removed; their tokens verified and minted, their calls paused. */
import { Type, type Static } from '../type.ts'
import { InvalidRequest, NoSuch, TokenRefused } from '../errors.ts'
import { faultOfCode } from '../events/normalize/country.ts'
import type { GivenGrant } from '../vault/granting.ts'
import { AccountView, showAccount, EventNames, findAccount } from './account-view.ts'
import {
  AccountParams as Params,
  AdAccountId,
  camelOf,
  Label,
  NoContent,
  sendOrFilter,
  textOf,
} from './answers.ts'
import type { AdminRoutes } from './options.ts'

/** As Pinterest gives it: what a header may hold. */
const Secret = textOf('^[!-~]+$', 'must be visible ASCII characters', { minLength: 8, maxLength: 4096 })
const Oauth = Type.Closed({
  /** A colon would end it in HTTP Basic. */
  client_id: Type.Optional(
    textOf('^[!-9;-~]+$', 'must be visible ASCII characters without a colon', {
      minLength: 1,
      maxLength: 200,
    }),
  ),
  client_secret: Type.Optional(Secret),
  /** Absent: a person will consent at /accounts/{id}/authorize, or the app has a new secret. */
  refresh_token: Type.Optional(Secret),
  /** The account whose grant this one uses as well. */
  shared_with: Type.Optional(AdAccountId),
})
const AccountBody = Type.Closed(
  {
    access_token: Type.Optional(Secret),
    oauth: Type.Optional(Oauth),
    force: Type.Optional(
      Type.Boolean({ description: 'Set access_token without asking Pinterest whether it takes it.' }),
    ),
    label: Type.OrDefault(Label),
    country: Type.OrDefault(
      Type.String({ maxLength: 200, description: 'A code of ISO 3166-1 alpha-2, such as US.' }),
    ),
    dob_format: Type.OrDefault(Type.Enum(['DMY', 'MDY'])),
    bots: Type.OrDefault(
      sendOrFilter({
        description: "Events whose user agent is a bot's: sent (the default), or only answered and counted.",
      }),
    ),
    event_names: Type.OrDefault(EventNames),
    /** 0 opens the account's post limiter. */
    posts_per_minute: Type.OrDefault(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
  },
  { examples: [{ access_token: 'pina_XXXXXXXXXXXX', label: 'My shop', country: 'US' }] },
)

const Accounts = Type.Closed({ accounts: Type.Array(AccountView) })
export type AccountsAnswer = Static<typeof Accounts>
const Verification = Type.Closed({
  works: Type.Boolean(),
  status: Type.OrNull(Type.Integer({ description: "Pinterest's HTTP status; null without an answer." })),
  message: Type.String(),
})
export type VerificationAnswer = Static<typeof Verification>
const Copy = Type.Closed(
  { sealed: textOf('^[A-Za-z0-9+/]+=*$', 'must be base64') },
  { examples: [{ sealed: 'AbcdEFG=' }] },
)
export type AccountCopy = Static<typeof Copy>
/** Of hundreds of sources with long expressions. */
const COPY_LIMIT_BYTES = 16 * 1024 ** 2
const AccountNow = { 200: AccountView }

export const accountRoutes: AdminRoutes = async (app, options) => {
  const { vault, verify, granting } = options
  const show = (adAccountId: string) => showAccount(options, adAccountId)

  const putting = {
    summary: 'Register an account, rotate its token, or change its settings',
    description:
      'What is absent stays as it is; null goes back to the default. Held events are sent at once. A token is replaced only by one that Pinterest does not refuse (TOKEN_REFUSED; nothing is changed then).',
    params: Params,
    body: AccountBody,
    response: { 200: AccountView, 201: AccountView },
  }
  app.put('/accounts/:id', { schema: putting }, async (request, reply) => {
    const { id: adAccountId } = request.params
    const { access_token: accessToken, oauth, force, ...given } = request.body
    const { country } = given
    const fault = typeof country === 'string' ? faultOfCode(country) : undefined
    if (fault !== undefined) throw new InvalidRequest(`country: ${fault}`)
    const settings = { ...camelOf(given), adAccountId, country: country?.toLowerCase() ?? country }
    if (oauth !== undefined && accessToken !== undefined) {
      throw new InvalidRequest('oauth: cannot be given together with access_token.')
    }
    if (accessToken !== undefined && force !== true) await demandUse(adAccountId, accessToken)
    const grant = oauth && readGrant(oauth)
    // Before: where it fails, the app's secret may have been changed, or the refresh token used up.
    if (grant !== undefined) request.audited = {}
    const token = accessToken === undefined ? undefined : ({ kind: 'given', accessToken } as const)
    const outcome = await (grant === undefined
      ? vault.putAccount({ ...settings, token })
      : granting.putAccount(settings, grant))
    if (outcome === 'token_missing') {
      throw new InvalidRequest('access_token: is required for a new account, or oauth.')
    }
    if (accessToken !== undefined && force === true) request.audited = { force }
    return reply.code(outcome === 'added' ? 201 : 200).send(show(adAccountId))
  })

  /** A token that may work is not replaced by one that does not. No answer is no refusal. */
  async function demandUse(adAccountId: string, accessToken: string): Promise<void> {
    const known = vault.tokenOf(adAccountId)
    if (known === undefined || known === accessToken) return
    const { isRefused, status, message } = await verify(adAccountId, accessToken)
    if (isRefused)
      throw new TokenRefused(
        `access_token: Pinterest refuses it (${status}), so the account keeps the one that ends with ${known.slice(-4)}: ${message}`,
      )
    const now = vault.tokenOf(adAccountId)
    if (now !== known && now !== accessToken)
      throw new InvalidRequest(
        'access_token: the token was replaced by another while Pinterest was asked about this one. Nothing is changed.',
      )
  }

  const listing = {
    summary: 'All accounts: where the token comes from and whether it works, and the state of each queue',
    response: { 200: Accounts },
  }
  app.get('/accounts', { schema: listing }, async () => ({
    accounts: vault.accounts().map(({ adAccountId }) => showAccount(options, adAccountId, true)),
  }))

  const reading = { summary: 'One account', params: Params, response: AccountNow }
  app.get('/accounts/:id', { schema: reading }, async (request) => show(request.params.id))

  const removing = { summary: 'Remove an account', params: Params, response: { 204: NoContent } }
  app.delete('/accounts/:id', { schema: removing }, async (request, reply) => {
    const { id } = request.params
    if (!(await vault.deleteAccount(id))) throw new NoSuch(`account ${id}`)
    return reply.code(204).send()
  })
}

/** What can be done with an account's token and calls. */
export const accountActionRoutes: AdminRoutes = async (app, options) => {
  const { vault, delivery, verify, granting } = options
  const show = (adAccountId: string) => showAccount(options, adAccountId)

  const verifying = {
    summary: 'Ask Pinterest, with an event that it does not record, whether the token works',
    params: Params,
    response: { 200: Verification },
  }
  app.post('/accounts/:id/verify', { config: { isAudited: false }, schema: verifying }, async (request) => {
    const { adAccountId } = findAccount(vault, request.params.id)
    const verification = await verify(adAccountId)
    // A queue that was held for its token may continue.
    if (verification.works) delivery.accountChanged(adAccountId)
    return verification
  })

  const minting = {
    summary: "Have a long-lived token minted with the account's grant, and use it from then on",
    params: Params,
    response: AccountNow,
  }
  app.post('/accounts/:id/conversion-token', { schema: minting }, async (request) => {
    const { adAccountId } = findAccount(vault, request.params.id)
    await granting.mint(adAccountId)
    return show(adAccountId)
  })

  for (const [verb, isPaused, summary] of [
    ['pause', true, "Stop the account's calls; posts are still taken"],
    ['resume', false, 'Let them continue'],
  ] as const) {
    const schema = { summary, params: Params, response: AccountNow }
    app.post(`/accounts/:id/${verb}`, { schema }, async (request) => {
      await vault.setPaused(request.params.id, isPaused)
      return show(request.params.id)
    })
  }

  const copying = {
    summary:
      "A sealed copy of the account for another cell, with its token, its sources and its keys' hashes",
    description: 'It shows nothing, and opens where the same master key is known.',
    params: Params,
    response: { 200: Copy },
  }
  app.get('/accounts/:id/copy', { schema: copying }, async (request) => {
    const { adAccountId } = findAccount(vault, request.params.id)
    return { sealed: vault.copyAccount(adAccountId)! }
  })

  const adopting = {
    summary: 'Register the account of a sealed copy, or bring it up to date, and pause it',
    params: Params,
    body: Copy,
    response: AccountNow,
  }
  const adopt = { schema: adopting, bodyLimit: COPY_LIMIT_BYTES }
  app.put('/accounts/:id/copy', adopt, async ({ params: { id }, body }) => {
    await vault.adoptAccount(id, body.sealed)
    return show(id)
  })
}

function readGrant(oauth: Static<typeof Oauth>): GivenGrant {
  const { client_id, client_secret, refresh_token, shared_with } = oauth
  if (shared_with !== undefined) {
    if (Object.keys(oauth).length > 1)
      throw new InvalidRequest('oauth.shared_with: excludes all other settings.')
    return { kind: 'shared', adAccountId: shared_with }
  }
  if (client_id === undefined) throw new InvalidRequest('oauth.client_id: is required.')
  if (client_secret === undefined) throw new InvalidRequest('oauth.client_secret: is required.')
  const client = { clientId: client_id, clientSecret: client_secret }
  return refresh_token === undefined
    ? { kind: 'client', client }
    : { kind: 'refresh_token', client, refreshToken: refresh_token }
}
