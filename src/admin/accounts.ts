/** Accounts: registering and rotating tokens, verifying, pausing. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type TSchema } from 'typebox'
import type { LaneState } from '../delivery/lane-state.ts'
import { InvalidRequest, NotFound } from '../errors.ts'
import { spellCountry } from '../event/normalize/country.ts'
import type { Account } from '../vault/vault.ts'
import type { AdminOptions } from './app.ts'

const AdAccountId = Type.String({ pattern: '^\\d{1,18}$' })
const Params = Type.Object({ id: AdAccountId })
/** Absent: stays as it is. Null: back to the default. */
function orNull<Schema extends TSchema>(schema: Schema) {
  return Type.Optional(Type.Union([schema, Type.Null()]))
}
const AccountBody = Type.Object(
  {
    /** As Pinterest gives it: what may stand in a header. */
    access_token: Type.Optional(Type.String({ minLength: 8, maxLength: 4096, pattern: '^[!-~]+$' })),
    label: orNull(Type.String({ maxLength: 200 })),
    country: orNull(Type.String({ pattern: '^[A-Za-z]{2}$' })),
    dob_format: orNull(Type.Enum(['DMY', 'MDY'])),
    /** 0 opens the account's door. */
    posts_per_minute: orNull(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
  },
  { additionalProperties: false },
)

export const accountRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, options) => {
  const { vault, delivery, verify, clock, onAccountDeleted } = options

  const show = (account: Account) => ({
    ad_account_id: account.adAccountId,
    label: account.label,
    country: account.country?.toUpperCase() ?? null,
    dob_format: account.dobFormat ?? null,
    posts_per_minute: account.postsPerMinute ?? null,
    paused: account.isPaused,
    token: {
      last4: account.tokenLast4,
      age_seconds: Math.max(0, Math.floor((clock.wallMs() - account.tokenSetAtMs) / 1000)),
    },
    created_at: new Date(account.createdAtMs).toISOString(),
    lanes: delivery.lanes(account.adAccountId).map(showLane),
  })
  const find = (adAccountId: string): Account => {
    const account = vault.account(adAccountId)
    if (!account) throw new NotFound()
    return account
  }

  app.put('/accounts/:id', { schema: { params: Params, body: AccountBody } }, async (request, reply) => {
    const { id: adAccountId } = request.params
    const { access_token, label, country, dob_format, posts_per_minute } = request.body
    if (typeof country === 'string' && spellCountry(country).status === 'dropped') {
      throw new InvalidRequest('country: is no country of ISO 3166-1.')
    }
    const outcome = await vault.putAccount({
      adAccountId,
      accessToken: access_token,
      label,
      country: country?.toLowerCase() ?? country,
      dobFormat: dob_format,
      postsPerMinute: posts_per_minute,
    })
    if (outcome === 'token_missing') throw new InvalidRequest('access_token: is required for a new account.')
    return reply.code(outcome === 'added' ? 201 : 200).send(show(find(adAccountId)))
  })

  app.get('/accounts', async () => ({ accounts: vault.accounts().map(show) }))

  app.get('/accounts/:id', { schema: { params: Params } }, async (request) => show(find(request.params.id)))

  app.delete('/accounts/:id', { schema: { params: Params } }, async (request, reply) => {
    if (!(await vault.deleteAccount(request.params.id))) throw new NotFound()
    onAccountDeleted(request.params.id)
    return reply.code(204).send()
  })

  app.post('/accounts/:id/verify', { schema: { params: Params } }, async (request) => {
    const { adAccountId } = find(request.params.id)
    const verification = await verify(adAccountId)
    // What was held for its token may go on: it works after all.
    if (verification.works) delivery.goOn(adAccountId)
    return verification
  })

  for (const [verb, isPaused] of [
    ['pause', true],
    ['resume', false],
  ] as const) {
    app.post(`/accounts/:id/${verb}`, { schema: { params: Params } }, async (request) => {
      if (!(await vault.setPaused(request.params.id, isPaused))) throw new NotFound()
      return show(find(request.params.id))
    })
  }
}

function showLane({ isTest, status, nextTryMs, callsInFlight }: LaneState) {
  return {
    test: isTest,
    status,
    next_try_in_seconds: nextTryMs === undefined ? null : Math.ceil(nextTryMs / 1000),
    calls_in_flight: callsInFlight,
  }
}
