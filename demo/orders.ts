/**
 * Orders as real shops send them: typed by people, exported by spreadsheets, written by forms of many countries. All
 * people are invented; numbers and addresses are from the ranges that are kept for examples where a country has one.
 */
import { dropped, type Fate, hashed, type Line, nothing, type Order, sent } from './order.ts'

const AGENT = 'Mozilla/5.0 (X11; Linux x86_64)'

/** `nowS`: seconds since the epoch. */
export function makeOrders(nowS: number): readonly Order[] {
  const converted = sent(nowS, 'event_time_converted')
  return [
    {
      title: 'Missouri: everything a form can ask for',
      eventId: 'demo-us-1',
      customer: [
        ['em', ' Person@Example.COM ', hashed('person@example.com')],
        ['ph', '(415) 555-2671 x9', hashed('14155552671')],
        ['ge', 'Female', hashed('f')],
        ['db', '03/17/1984', hashed('19840317')],
        ['ln', 'O’Connor  Vance', hashed("o'connor vance")],
        // The accent as a mark of its own, as macOS writes it; Pinterest has the other form.
        ['fn', 'Jose\u0301', hashed('jos\u00e9')],
        ['ct', 'St. Louis', hashed('stlouis')],
        ['st', 'Missouri', hashed('mo')],
        ['zp', '63101-2044', hashed('63101')],
        ['country', 'United States', hashed('us')],
        ['external_id', ' Cust-00042 ', hashed('Cust-00042')],
        ['client_ip_address', '203.0.113.7:51234', sent('203.0.113.7')],
        ['client_user_agent', AGENT, sent(AGENT)],
        ['click_id', null, sent('dj0yJnU9demo')],
      ],
      rest: [
        ...basics(nowS * 1000 + 250, converted),
        ['event_id', 'demo-us-1', sent('demo-us-1')],
        [
          'event_source_url',
          'https://shop.example/thanks?epik=dj0yJnU9demo',
          sent('https://shop.example/thanks?epik=dj0yJnU9demo'),
        ],
        ['custom_data.value', 72.5, sent('72.5')],
        ['custom_data.currency', 'usd', sent('USD')],
        ['custom_data.num_items', '3', sent(3)],
        ['custom_data.category_name', 'Shoes', dropped('unknown_field')],
      ],
    },
    {
      title: 'Great Britain: trunk zero in brackets, UK for GB',
      eventId: 'demo-gb-1',
      customer: [
        ['em', 'mailto:Sian@example.co.uk', hashed('sian@example.co.uk')],
        ['ph', '+44 (0)20 7946 0958', hashed('442079460958')],
        ['fn', 'Siân', hashed('siân')],
        ['ln', 'Fortescue–Smythe', hashed('fortescue-smythe')],
        ['ct', 'Stoke-on-Trent', hashed('stokeontrent')],
        ['zp', 'st4 2rw', hashed('st42rw')],
        ['country', 'UK', hashed('gb')],
      ],
      rest: [
        ...basics(new Date(nowS * 1000).toISOString(), converted),
        ['event_id', 'demo-gb-1', sent('demo-gb-1')],
      ],
    },
    {
      title: 'Germany: national number, a state that Pinterest cannot match',
      eventId: 'demo-de-1',
      customer: [
        ['em', 'j.grossmann@example.de', hashed('j.grossmann@example.de')],
        ['ph', '030 / 23125 014', hashed('493023125014')],
        ['db', '7.3.1990', hashed('19900307')],
        ['fn', 'JÜRGEN', hashed('jürgen')],
        ['ln', 'Großmann', hashed('großmann')],
        ['ct', 'Frankfurt am Main', hashed('frankfurtammain')],
        ['st', 'Hessen', dropped('unreadable')],
        ['zp', '60 311', hashed('60311')],
        ['country', 'Deutschland', hashed('de')],
      ],
      rest: [...basics(nowS, sent(nowS)), ['event_id', 'demo-de-1', sent('demo-de-1')]],
    },
    {
      title: 'Brazil: accents stay, punctuation goes',
      eventId: 'demo-br-1',
      customer: [
        ['em', 'joao@example.com.br', hashed('joao@example.com.br')],
        ['ph', '(11) 96123-4567', hashed('5511961234567')],
        ['fn', 'João', hashed('joão')],
        ['ln', 'da Conceição', hashed('da conceição')],
        ['ct', 'São Paulo', hashed('sãopaulo')],
        ['st', 'SP', hashed('sp')],
        ['zp', '01310-100', hashed('01310100')],
        ['country', 'Brasil', hashed('br')],
      ],
      rest: [...basics(nowS, sent(nowS)), ['event_id', 'demo-br-1', sent('demo-br-1')]],
    },
    {
      title: 'Japan: full-width digits, a postal mark',
      eventId: 'demo-jp-1',
      customer: [
        ['em', 'hanako.yamada@example.jp', hashed('hanako.yamada@example.jp')],
        ['ph', '０９０−１２３４−５６７８', hashed('819012345678')],
        ['fn', '花子', hashed('花子')],
        ['ln', '山田', hashed('山田')],
        ['ct', '千代田区', hashed('千代田区')],
        ['zp', '〒100-8111', hashed('1008111')],
        ['country', '日本', hashed('jp')],
      ],
      rest: [...basics(nowS, sent(nowS)), ['event_id', 'demo-jp-1', sent('demo-jp-1')]],
    },
    {
      title: 'Québec: a province in French, a second number whose zero belongs to it',
      eventId: 'demo-ca-1',
      customer: [
        ['em', 'emilie@example.ca', hashed('emilie@example.ca')],
        ['ph', '514.555.0199', hashed('15145550199')],
        ['ph', '+39 06 6982 0000', hashed('390669820000')],
        ['ct', "L'Île-Perrot", hashed('lîleperrot')],
        ['st', 'Québec', hashed('qc')],
        ['zp', 'j7v 3t3', hashed('j7v3t3')],
        ['country', 'CAN', hashed('ca')],
      ],
      rest: [...basics(nowS, sent(nowS)), ['event_id', 'demo-ca-1', sent('demo-ca-1')]],
    },
    {
      title: 'Poland: an exit code instead of the +, a Greek name in capitals',
      eventId: 'demo-pl-1',
      customer: [
        ['em', 'lukasz@example.pl', hashed('lukasz@example.pl')],
        ['ph', '0048 601 234 567', hashed('48601234567')],
        ['fn', 'ŁUKASZ', hashed('łukasz')],
        ['ln', 'ΠΑΠΑΔΌΠΟΥΛΟΣ', hashed('παπαδόπουλος')],
        ['ct', 'Łódź', hashed('łódź')],
        ['zp', '90-001', hashed('90001')],
        ['country', 'Polska', hashed('pl')],
      ],
      rest: [...basics(nowS, sent(nowS)), ['event_id', 'demo-pl-1', sent('demo-pl-1')]],
    },
    {
      title: 'A careless export: missing, doubled and placeholder values, no event_id',
      eventId: 'order-checkout-A-1009',
      customer: [
        ['em', 'twice@example.com', hashed('twice@example.com')],
        ['em', ' TWICE@example.com', hashed('twice@example.com')],
        ['em', 'not-an-email', dropped('unreadable')],
        ['em', null, nothing],
        ['ph', 'n/a', dropped('placeholder')],
        ['fn', '   ', dropped('placeholder')],
        ['ln', 'Null', hashed('null')],
        ['db', '04/05/1990', dropped('ambiguous_date')],
        ['zp', 2139, hashed('02139')],
        ['client_ip_address', '10.0.0.7', dropped('not_public')],
      ],
      rest: [
        ...basics(nowS, sent(nowS)),
        ['event_id', null, sent('order-checkout-A-1009', 'event_id_derived')],
        ['custom_data.order_id', 'A-1009', sent('A-1009')],
      ],
    },
  ]
}

function basics(time: string | number, timeFate: Fate): readonly Line[] {
  return [
    ['event_name', 'checkout', sent('checkout')],
    ['action_source', 'web', sent('web')],
    ['event_time', time, timeFate],
  ]
}
