import t from 'tap'
import { openDocuments, sealChange } from '../../src/vault/open-records.ts'
import { createSealer } from '../../src/vault/seal.ts'

const sealer = createSealer({ current: Buffer.alloc(32, 1) })
const client = { clientId: 'app', clientSecret: 'very secret' }
const CANNOT_OPEN = { code: 'CANNOT_OPEN' }

t.test('a record opens as what it was, and nothing of it is readable in its document', async (t) => {
  const { put, remove } = sealChange(sealer, [
    ['client', 'app', client],
    ['grant', 'gone', undefined],
  ])
  t.same(remove, [{ kind: 'grant', id: 'gone' }])
  t.same(openDocuments(sealer, put).client, new Map([['app', client]]))
  t.notOk(Buffer.from(put[0]!.body).includes('secret'))
})

t.test('a document opens neither for another record nor as another kind', async (t) => {
  const [document] = sealChange(sealer, [['client', 'app', client]]).put
  t.throws(() => openDocuments(sealer, [{ ...document!, id: 'other' }]), CANNOT_OPEN)
  t.throws(() => openDocuments(sealer, [{ ...document!, kind: 'key' }]), CANNOT_OPEN)
})

t.test('a kind that a newer relay wrote is left alone', async (t) => {
  const document = { kind: 'newer', id: '1', body: Buffer.alloc(9) }
  t.equal(openDocuments(sealer, [document]).client.size, 0)
})
