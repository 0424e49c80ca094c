/** Relay keys: made, listed, removed. The key itself is shown in the answer that makes it and never again. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { NotFound } from '../errors.ts'
import type { RelayKey } from '../vault/vault.ts'
import { AdAccountId, answers, closed, NoContent, Time } from './answers.ts'
import type { AdminOptions } from './app.ts'

const KeyBody = Type.Object(
  {
    label: Type.String({ minLength: 1, maxLength: 200 }),
    ad_account_ids: Type.Array(AdAccountId, { minItems: 1, maxItems: 1000 }),
  },
  { additionalProperties: false },
)
const Params = Type.Object({ key_id: Type.String({ maxLength: 64 }) })

const known = {
  id: Type.String(),
  label: Type.String(),
  ad_account_ids: Type.Array(AdAccountId),
  created_at: Time,
}
const Key = Type.Object(known, closed)
const MadeKey = Type.Object({ ...known, key: Type.String({ description: 'Shown this once.' }) }, closed)
const tags = ['keys']

export const keyRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, { vault }) => {
  const making = { tags, summary: 'Make a relay key', body: KeyBody, response: answers({ 201: MadeKey }) }
  app.post('/keys', { schema: making }, async (request, reply) => {
    const { label, ad_account_ids: adAccountIds } = request.body
    const { relayKey, ...key } = await vault.createKey({ label, adAccountIds })
    const { id, ...rest } = show(key)
    request.madeKeyId = id
    return reply.code(201).send({ id, key: relayKey, ...rest })
  })

  const listing = {
    tags,
    summary: 'All relay keys, without the keys themselves',
    response: answers({ 200: Type.Object({ keys: Type.Array(Key) }, closed) }),
  }
  app.get('/keys', { schema: listing }, async () => ({ keys: vault.keys().map(show) }))

  const removing = {
    tags,
    summary: 'Remove a relay key',
    params: Params,
    response: answers({ 204: NoContent }),
  }
  app.delete('/keys/:key_id', { schema: removing }, async (request, reply) => {
    if (!(await vault.deleteKey(request.params.key_id))) throw new NotFound()
    return reply.code(204).send()
  })
}

function show({ keyId, label, adAccountIds, createdAtMs }: RelayKey) {
  return {
    id: keyId,
    label,
    ad_account_ids: adAccountIds,
    created_at: new Date(createdAtMs).toISOString(),
  }
}
