import t from 'tap'
import { checkTable, type Row } from './table.ts'

t.test('an address is sent without brackets, port and zone', async (t) => {
  checkTable(t, 'client_ip_address', [
    ['203.0.113.7:51234', '203.0.113.7'],
    ['203.0.113.7', '203.0.113.7'],
    [' 8.8.8.8 ', '8.8.8.8'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2a02:8109:aa40:1f00:a4b3:9c1:77d2:1234', '2a02:8109:aa40:1f00:a4b3:9c1:77d2:1234'],
    ['2A02:8109:AA40:1F00:A4B3:09C1:77D2:1234', '2a02:8109:aa40:1f00:a4b3:9c1:77d2:1234'],
    ['2606:4700::1111%eth0', '2606:4700::1111'],
    ['[2606:4700::1111%25eth0]:443', '2606:4700::1111'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::ffff:cb00:7107', '203.0.113.7'],
    ['[::ffff:203.0.113.7]:80', '203.0.113.7'],
    ['198.51.100.1', '198.51.100.1'],
    ['192.0.2.1', '192.0.2.1'],
    ['64:ff9b::808:808', '64:ff9b::808:808'],
  ])
})

t.test('a list gives its first public address', async (t) => {
  checkTable(t, 'client_ip_address', [
    ['203.0.113.7, 198.51.100.1', '203.0.113.7'],
    ['10.0.0.1, 203.0.113.7', '203.0.113.7'],
    ['unknown,192.168.0.1,[2001:db8::1]:443', '2001:db8::1'],
    [',,203.0.113.7', '203.0.113.7'],
    ['10.0.0.1, 192.168.0.1', '(not_public)'],
    [`${'10.0.0.1,'.repeat(400)}203.0.113.7`, '(not_public)'],
  ])
})

t.test('an address that cannot be a customer’s is dropped', async (t) => {
  const notPublic = [
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '127.0.0.1',
    '169.254.1.1',
    '100.64.0.1',
    '0.0.0.0',
    '0.1.2.3',
    '224.0.0.1',
    '239.1.1.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'fe80::1%eth0',
    'fc00::1',
    'fd12::1',
    'fd12:3456:789a:1:2:3:4:5',
    'fe80:1:2:3:4:5:6:7',
    'ff02::1',
    'fec0::1',
    '::ffff:10.0.0.1',
    '[::1]:443',
    '127.0.0.1:80',
  ]
  checkTable(
    t,
    'client_ip_address',
    notPublic.map((typed): Row => [typed, '(not_public)']),
  )
})

t.test('what is no address is dropped', async (t) => {
  const malformed = [
    'localhost',
    '203.0.113',
    '203.0.113.256',
    '203.0.113.007',
    '0xcb.0.113.7',
    '3405803783',
    '203.0.113.7/32',
    '2001:db8',
    '2001:db8::1::2',
    '[2001:db8::1',
    '203.0.113.7:123456',
    'http://203.0.113.7',
    ',',
  ]
  checkTable(
    t,
    'client_ip_address',
    malformed.map((typed): Row => [typed, '(unreadable)']),
  )
  checkTable(t, 'client_ip_address', [['unknown', '(placeholder)']])
  checkTable(t, 'client_ip_address', [[3_405_803_783, '(unreadable)']])
})
