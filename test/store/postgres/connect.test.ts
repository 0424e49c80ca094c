import t from 'tap'
import { settingsOf } from '../../../src/store/postgres/connect.ts'

t.test('what a URL says of options does not take the relay out of its schema', async (t) => {
  const optionsOf = (url: string) => {
    const { connectionString } = settingsOf({ url, applicationName: 'test' })
    return new URL(connectionString!).searchParams.get('options')
  }
  t.equal(optionsOf('postgres://u:p@h/db'), '-c search_path=pinrelay')
  t.equal(
    optionsOf('postgres://u:p@h/db?sslmode=require&options=endpoint%3Dx'),
    'endpoint=x -c search_path=pinrelay',
  )
  t.match(settingsOf({ url: 'postgres://u:p%2B@h/db', applicationName: 'test' }).connectionString, 'u:p%2B@h')
})
