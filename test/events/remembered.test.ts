import t from 'tap'
import { remembered } from '../../src/events/remembered.ts'

t.test('a text is answered once, until there are too many of them', async (t) => {
  const asked: string[] = []
  const answer = remembered(2, (text: string) => {
    asked.push(text)
    return text.length > 1
  })
  t.same(['a', 'bb', 'a', 'bb'].map(answer), [false, true, false, true])
  t.same(asked, ['a', 'bb'])
  t.same(['c', 'c', 'a'].map(answer), [false, false, false])
  t.same(asked, ['a', 'bb', 'c', 'a'])
})
