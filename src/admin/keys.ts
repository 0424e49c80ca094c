/** Relay keys: made, listed, removed. The key itself is shown in the answer that makes it and never again. */
import { Type, type Static } from '../type.ts'
import { InvalidRequest, NoSuch } from '../errors.ts'
import { AdAccountId, Label, NoContent } from './answers.ts'
import type { AdminRoutes } from './options.ts'

const KeyBody = Type.Closed(
  {
    label: { ...Label, minLength: 1 },
    ad_account_ids: Type.Array(AdAccountId, { minItems: 1, maxItems: 1000 }),
  },
  { examples: [{ label: 'My shop', ad_account_ids: ['549755885175'] }] },
)
const Params = Type.Object({ key_id: Type.String({ maxLength: 64 }) })

const known = {
  id: Type.String(),
  prefix: Type.String({ description: 'How the key begins.' }),
  label: Type.String(),
  ad_account_ids: Type.Array(AdAccountId),
  created_at: Type.Time,
}
const used = { last_used_at: Type.OrNull(Type.Time), use_known_since: Type.Time }
const Keys = Type.Closed({
  keys: Type.Array(
    Type.Closed(
      { ...known, ...used },
      {
        description:
          '`last_used_at`: null when not since `use_known_since`, when this process started. Of several replicas each knows its own posts alone.',
      },
    ),
  ),
})
const MadeKey = Type.Closed({ ...known, key: Type.String({ description: 'Shown this once.' }) })
export type KeysAnswer = Static<typeof Keys>
export type MadeKeyAnswer = Static<typeof MadeKey>

export const keyRoutes: AdminRoutes = async (app, { vault }) => {
  const making = { summary: 'Make a relay key', body: KeyBody, response: { 201: MadeKey } }
  app.post('/keys', { schema: making }, async (request, reply) => {
    const { label, ad_account_ids: adAccountIds } = request.body
    const unknown = adAccountIds.find((id) => vault.account(id) === undefined)
    if (unknown !== undefined) throw new InvalidRequest(`ad_account_ids: there is no account ${unknown}.`)
    const { relayKey, ...key } = await vault.createKey({ label, adAccountIds })
    request.audited = { key_id: key.keyId }
    return reply.code(201).send({ ...key, id: key.keyId, key: relayKey })
  })

  const listing = { summary: 'All relay keys, without the keys themselves', response: { 200: Keys } }
  app.get('/keys', { schema: listing }, async () => ({
    keys: vault.keys().map((key) => ({
      ...key,
      id: key.keyId,
      lastUsedAtMs: vault.keyUsedAtMs(key.keyId),
      useKnownSinceMs: vault.keyUseKnownSinceMs,
    })),
  }))

  const removing = { summary: 'Remove a relay key', params: Params, response: { 204: NoContent } }
  app.delete('/keys/:key_id', { schema: removing }, async (request, reply) => {
    const { key_id: keyId } = request.params
    if (!(await vault.deleteKey(keyId))) throw new NoSuch('key with this id')
    return reply.code(204).send()
  })
}
