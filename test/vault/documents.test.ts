import t from 'tap'
import { openDocuments, sealChange } from '../../src/vault/open-records.ts'
import { createSealer } from '../../src/vault/seal.ts'

const sealer = createSealer({ current: Buffer.alloc(32, 1) })
const client = { clientId: 'app', clientSecret: 'very secret' }
const CANNOT_OPEN = { code: 'CANNOT_OPEN' }

t.test('a record opens as what it was, and nothing of it is readable in its document', async (t) => {
  const [document, gone] = sealChange(sealer, [
    ['client', 'app', client],
    ['grant', 'gone', undefined],
  ])
  const { body } = document!
  t.same(gone, { kind: 'grant', id: 'gone', body: undefined })
  t.same(openDocuments(sealer, [{ ...document!, body: body! }]).client, new Map([['app', client]]))
  t.notOk(Buffer.from(body!).includes('secret'))
})

t.test('a document opens neither for another record nor as another kind', async (t) => {
  const [sealed] = sealChange(sealer, [['client', 'app', client]])
  const body = sealed!.body!
  t.throws(() => openDocuments(sealer, [{ kind: 'client', id: 'other', body }]), CANNOT_OPEN)
  t.throws(() => openDocuments(sealer, [{ kind: 'key', id: 'app', body }]), CANNOT_OPEN)
})

t.test('a kind that a newer relay wrote is left alone', async (t) => {
  const document = { kind: 'newer', id: '1', body: Buffer.alloc(9) }
  t.equal(openDocuments(sealer, [document]).client.size, 0)
})
