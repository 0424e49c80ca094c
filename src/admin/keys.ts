/** Relay keys: made, listed, removed. The key itself is shown in the answer that makes it and never again. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { NotFound } from '../errors.ts'
import type { RelayKey } from '../vault/vault.ts'
import type { AdminOptions } from './app.ts'

const KeyBody = Type.Object(
  {
    label: Type.String({ minLength: 1, maxLength: 200 }),
    ad_account_ids: Type.Array(Type.String({ pattern: '^\\d{1,18}$' }), { minItems: 1, maxItems: 1000 }),
  },
  { additionalProperties: false },
)
const Params = Type.Object({ key_id: Type.String({ maxLength: 64 }) })

export const keyRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, { vault }) => {
  app.post('/keys', { schema: { body: KeyBody } }, async (request, reply) => {
    const { label, ad_account_ids: adAccountIds } = request.body
    const { relayKey, ...key } = await vault.createKey({ label, adAccountIds })
    const { id, ...rest } = show(key)
    request.madeKeyId = id
    return reply.code(201).send({ id, key: relayKey, ...rest })
  })

  app.get('/keys', async () => ({ keys: vault.keys().map(show) }))

  app.delete('/keys/:key_id', { schema: { params: Params } }, async (request, reply) => {
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
