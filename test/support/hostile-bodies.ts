/**
 * Bodies that are small to send and dear to read: one of each shape that has held a loop somewhere, filled up to a size.
 * Made of text alone, so that making them costs next to nothing.
 */
const SECOND = Math.floor(Date.now() / 1000)

/** `rest` follows the least that makes an event. */
const event = (rest = '', userData = '"em":"a@b.co"', id = 'e') =>
  `{"event_name":"checkout","action_source":"web","event_time":${SECOND},"event_id":"${id}","user_data":{${userData}}${rest}}`

/** One JSON text: `head`, as many of `unit` as fit, `tail`. Units are joined with commas. */
function fill(
  sizeBytes: number,
  head: string,
  unit: (n: number) => string,
  tail: string,
  separator = ',',
): Buffer {
  const units: string[] = []
  let left = sizeBytes - Buffer.byteLength(head) - Buffer.byteLength(tail)
  for (let n = 0; ; n++) {
    const text = unit(n)
    left -= Buffer.byteLength(text) + separator.length
    if (left < 0) break
    units.push(text)
  }
  return Buffer.from(head + units.join(separator) + tail)
}

/** One event; `rest` is its last field, opened, and `end` closes it. */
const inEvent = (sizeBytes: number, rest: string, unit: (n: number) => string, end = '', separator = ',') =>
  fill(sizeBytes, `{"data":[${event(rest).slice(0, -1)}`, unit, `${end}}]}`, separator)
const inUserData = (sizeBytes: number, open: string, unit: (n: number) => string, close = '') =>
  fill(sizeBytes, `{"data":[${event('', `"em":"a@b.co",${open}`).slice(0, -2)}`, unit, `${close}}}]}`)

/** A thousand events, each with its share of the size. */
function thousand(sizeBytes: number, make: (share: number, n: number) => string): Buffer {
  const share = Math.floor(sizeBytes / 1000) - 8
  return Buffer.from(`{"data":[${Array.from({ length: 1000 }, (_, n) => make(share, n)).join(',')}]}`)
}
/** So many of a unit that they fit beside the event itself. */
function repeated(share: number, unit: (n: number) => string, most = Infinity): string {
  const units: string[] = []
  for (let n = 0, left = share - 300; n < most; n++) {
    const text = unit(n)
    left -= Buffer.byteLength(text) + 1
    if (left < 0) break
    units.push(text)
  }
  return units.join(',')
}

const HASHED = [
  'em',
  'ph',
  'ge',
  'db',
  'ln',
  'fn',
  'ct',
  'st',
  'zp',
  'country',
  'external_id',
  'hashed_maids',
]
const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
const longName = (n: number) => `a_field_that_nobody_knows_number_${String(n).padStart(7, '0')}`

/** As many events as fit, at least one, each as large and as full as one may be. */
function atTheBounds(sizeBytes: number, make: (share: number, n: number) => string): Buffer {
  const share = Math.min(sizeBytes - 64, 1024 * 1024 - 64)
  const events: string[] = []
  for (let left = sizeBytes - 16, n = 0; left > 0; n++) {
    const one = make(share, n)
    left -= Buffer.byteLength(one) + 1
    if (left > 0 || n === 0) events.push(one)
  }
  return Buffer.from(`{"data":[${events.join(',')}]}`)
}
/** Twenty values of each field that is hashed. */
const inAllFields = (value: (field: string, index: number) => string) =>
  HASHED.map(
    (field) =>
      `"${field}":[${Array.from({ length: 20 }, (_, index) => `"${value(field, index)}"`).join(',')}]`,
  ).join(',')

export type MakeBody = (sizeBytes: number) => Buffer

export const HOSTILE_BODIES: Readonly<Record<string, MakeBody>> = {
  'unknown keys in an event': (size) => inEvent(size, ',', (n) => `"k${n}":1`),
  'unknown keys in user_data': (size) => inUserData(size, '', (n) => `"k${n}":1`),
  'unknown keys in custom_data': (size) => inEvent(size, ',"custom_data":{', (n) => `"k${n}":1`, '}'),
  'unknown keys in one of contents': (size) =>
    inEvent(size, ',"custom_data":{"contents":[{', (n) => `"k${n}":1`, '}]}'),
  'unknown keys below an unknown key': (size) => inEvent(size, ',"x":{', (n) => `"k${n}":1`, '}'),
  'unknown keys beside data': (size) => fill(size, `{"data":[${event()}],`, (n) => `"k${n}":1`, '}'),
  'an array beside data': (size) => fill(size, `{"data":[${event()}],"x":[`, () => '{"a":1}', ']}'),
  'numbers as keys': (size) => inEvent(size, ',', (n) => `"${n * 7919}":1`),
  'the same key again and again': (size) => inEvent(size, ',', () => '"a":1'),
  'em again and again': (size) => inUserData(size, '', () => '"em":["c@d.co"]'),
  'data again and again': (size) => fill(size, '{', () => `"data":[${event()}]`, '}'),
  '__proto__ again and again': (size) => inEvent(size, ',"x":[', () => '{"__proto__":{"a":1}}', ']'),
  'objects of one key each, all different': (size) => inEvent(size, ',"x":[', (n) => `{"k${n}":1}`, ']'),
  'contents of one unknown key each': (size) =>
    inEvent(size, ',"custom_data":{"contents":[', (n) => `{"k${n}":1}`, ']}'),
  'contents by the hundred thousand': (size) =>
    inEvent(size, ',"custom_data":{"contents":[', () => '{"id":"x","quantity":"3","item_price":"1.5"}', ']}'),
  'contents with huge numbers': (size) =>
    inEvent(size, ',"custom_data":{"contents":[', () => '{"item_price":1e308}', ']}'),
  'contents that are no objects': (size) => inEvent(size, ',"custom_data":{"contents":[', () => '0', ']}'),
  'nested thirty levels, again and again': (size) => inEvent(size, ',"x":[', () => deep(26), ']'),
  'nested without end': (size) => inEvent(size, ',"x":', () => '[', '', ''),
  'e-mail addresses by the hundred thousand': (size) => inUserData(size, '"em":[', () => '"a@b.co"', ']'),
  'addresses of 4,000 dead letters': (size) =>
    inUserData(size, '"ct":[', () => `"${'é̂ '.repeat(1000)}"`, ']'),
  'user agents by the hundred thousand': (size) =>
    inUserData(size, '"client_user_agent":[', () => 'null', ']'),
  'content_ids by the hundred thousand': (size) =>
    inEvent(size, ',"custom_data":{"content_ids":[', () => '"a"', ']}'),
  'content_ids that are numbers': (size) =>
    inEvent(size, ',"custom_data":{"content_ids":[', () => '1e300', ']}'),
  'content_ids that are nulls': (size) =>
    inEvent(size, ',"custom_data":{"content_ids":[', () => 'null', ']}'),
  'one long text': (size) => inEvent(size, ',"event_source_url":"', () => 'x'.repeat(64), '"', ''),
  'one long text of escapes': (size) => inEvent(size, ',"event_source_url":"', () => '\\u00e9', '"', ''),
  'one long text beyond Latin': (size) => inEvent(size, ',"partner_name":"', () => '😀é', '"', ''),
  'one long text of spaces': (size) => inEvent(size, ',"partner_name":"a', () => ' '.repeat(64), 'a"', ''),
  'one long text as an id': (size) =>
    fill(
      size,
      `{"data":[${event('', undefined, '').replace('"event_id":""', '"event_id":"').split('"event_id":"')[0]}"event_id":"`,
      () => 'x'.repeat(64),
      '"}]}',
      '',
    ),
  'one long text below an unknown key': (size) => inEvent(size, ',"x":"', () => 'é'.repeat(32), '"', ''),
  'one long text beside data': (size) =>
    fill(size, `{"data":[${event()}],"x":"`, () => 'é'.repeat(32), '"}', ''),
  'one long key': (size) => inEvent(size, ',"', () => 'k'.repeat(64), '":1', ''),
  'one long number': (size) => inEvent(size, ',"x":', () => '9'.repeat(64), '', ''),
  'one long number as money': (size) =>
    inEvent(size, ',"custom_data":{"value":', () => '9'.repeat(64), '}', ''),
  'a thousand small events': () =>
    Buffer.from(
      `{"data":[${Array.from({ length: 1000 }, (_, n) => event('', undefined, `s${n}`)).join(',')}]}`,
    ),
  'small events without end': (size) => fill(size, '{"data":[', () => '{}', ']}'),
  'a thousand events of unknown keys': (size) =>
    thousand(size, (share, n) =>
      event(`,${repeated(share, (key) => `"k${n}_${key}":1`)}`, undefined, `u${n}`),
    ),
  'a thousand events with a warning per key': (size) =>
    thousand(size, (share, n) =>
      event(`,${repeated(share, (key) => `"${longName(key)}":1`, 40)}`, undefined, `w${n}`),
    ),
  'a thousand refused events with a warning per key': (size) =>
    thousand(size, (share, n) =>
      event(
        `,${repeated(share, (key) => `"${longName(key)}":1`, 40)}`,
        '"em":["x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x"]',
        `r${n}`,
      ),
    ),
  'a thousand events of twenty values per field': (size) =>
    thousand(size, (share, n) => {
      const values = (field: string) =>
        `"${field}":[${Array.from({ length: 20 }, (_, i) => `"${n}${field}${i}@b.co"`).join(',')}]`
      return event(
        '',
        repeated(share + 200, (f) => values(HASHED[f]!), HASHED.length),
        `h${n}`,
      )
    }),
  'a thousand events of phones': (size) =>
    thousand(size, (share, n) =>
      event(
        '',
        `"em":"a@b.co","ph":[${repeated(share, (i) => `"+49 (0) 171 ${n}${i} ext 5"`, 20)}]`,
        `p${n}`,
      ),
    ),
  'a thousand events of long names': (size) =>
    thousand(size, (share, n) =>
      event('', `"em":"a@b.co","ct":[${repeated(share, () => `"${'ß é̂ '.repeat(40)}"`, 20)}]`, `n${n}`),
    ),
  'a thousand events with huge numbers': (size) =>
    thousand(size, (share, n) =>
      event(
        `,"custom_data":{"contents":[${repeated(share, () => '{"item_price":1e308}')}]}`,
        undefined,
        `x${n}`,
      ),
    ),
  'a thousand events of many contents': (size) =>
    thousand(size, (share, n) =>
      event(
        `,"custom_data":{"contents":[${repeated(share, () => '{"id":"x","quantity":"3","item_price":"1.5"}')}]}`,
        undefined,
        `c${n}`,
      ),
    ),
  'a thousand events of long text': (size) =>
    thousand(size, (share, n) =>
      event(`,"event_source_url":"${'é'.repeat(Math.max(0, share - 300) / 2)}"`, undefined, `t${n}`),
    ),
  'ten events of long text': (size) =>
    Buffer.from(
      `{"data":[${Array.from({ length: 10 }, (_, n) => event(`,"event_source_url":"${'é'.repeat(size / 20 - 200)}"`, undefined, `t${n}`)).join(',')}]}`,
    ),
  'white space': (size) => fill(size, `{"data":[${event()}`, () => ' '.repeat(64), ']}', ''),
  'commas and nothing else': (size) => fill(size, '', () => ',', '', ''),
  'brackets and nothing else': (size) => fill(size, '', () => '[', '', ''),
  'an open text of backslashes': (size) => fill(size, '{"data":["', () => '\\\\', '', ''),
  'no UTF-8 at its end': (size) =>
    Buffer.concat([inEvent(size - 1, ',"x":"', () => 'x'.repeat(64), '"', ''), Buffer.of(0xff)]),
  'events of 1 MiB of long names': (size) =>
    atTheBounds(size, (_, n) =>
      event(
        '',
        inAllFields(() => 'ß é̂ '.repeat(500)),
        `a${n}`,
      ),
    ),
  'events of 1 MiB of long Latin names': (size) =>
    atTheBounds(size, (_, n) =>
      event(
        '',
        inAllFields(() => 'Éa-é '.repeat(500)),
        `a${n}`,
      ),
    ),
  'events of 1 MiB of long plain names': (size) =>
    atTheBounds(size, (_, n) =>
      event(
        '',
        inAllFields(() => 'x. -'.repeat(1000)),
        `a${n}`,
      ),
    ),
  'events of 1 MiB of digits': (size) =>
    atTheBounds(size, (_, n) =>
      event(
        '',
        inAllFields(() => '1 (2)-'.repeat(680)),
        `a${n}`,
      ),
    ),
  'events of 1 MiB of what is nearly an address': (size) =>
    atTheBounds(size, (_, n) =>
      event(
        '',
        inAllFields(() => 'a.-a@a.'.repeat(580)),
        `a${n}`,
      ),
    ),
  'events of 1 MiB of marks': (size) =>
    atTheBounds(size, (_, n) =>
      event(
        '',
        inAllFields(() => `a${'\u0301\u0316'.repeat(14)} `.repeat(68)),
        `a${n}`,
      ),
    ),
  'events of 1 MiB of many scripts': (size) =>
    atTheBounds(size, (_, n) =>
      event(
        '',
        inAllFields(() => 'Äß我ﬁ１'.repeat(230)),
        `a${n}`,
      ),
    ),
  'events of 1 MiB of one text': (size) =>
    atTheBounds(size, (share, n) =>
      event(`,"partner_name":"${'😀é'.repeat((share - 300) / 6)}"`, undefined, `a${n}`),
    ),
  'events of 1 MiB of spaces': (size) =>
    atTheBounds(size, (share, n) =>
      event(`,"partner_name":"a${' '.repeat(share - 300)}a"`, undefined, `a${n}`),
    ),
  'events of 1 MiB of a URL': (size) =>
    atTheBounds(size, (share, n) =>
      event(`,"event_source_url":"https://a.b/?epik=${'%41'.repeat((share - 300) / 3)}"`, undefined, `a${n}`),
    ),
  'events of URLs of 8,000 dead letters': (size) =>
    thousand(size, (_, n) =>
      event(`,"event_source_url":"https://a.b/?epik=${'%41'.repeat(2600)}"`, undefined, `a${n}`),
    ),
  'events of URLs with long hosts': (size) =>
    thousand(size, (_, n) =>
      event(`,"event_source_url":"https://${'é.'.repeat(2600)}/?epik=1"`, undefined, `a${n}`),
    ),
  'events of a thousand keys, twenty times': (size) =>
    atTheBounds(size, (_, n) =>
      event(
        `,"x":[${Array.from({ length: 19 }, (_, i) => `{${Array.from({ length: 1000 }, (_, k) => `"k${n}_${i}_${k}":1`).join(',')}}`).join(',')}]`,
        undefined,
        `a${n}`,
      ),
    ),
  'events of twenty thousand objects': (size) =>
    atTheBounds(size, (_, n) =>
      event(
        `,"x":[${Array.from({ length: 19_000 / 2 }, (_, i) => `{"k${n}_${i}":1}`).join(',')}]`,
        undefined,
        `a${n}`,
      ),
    ),
  'events of three thousand contents': (size) =>
    atTheBounds(size, (_, n) =>
      event(
        `,"custom_data":{"contents":[${Array.from({ length: 2800 }, () => '{"id":"x","item_name":1e-40,"item_brand":1e-40,"item_category":1e-40,"quantity":"3","item_price":1e50}').join(',')}]}`,
        undefined,
        `a${n}`,
      ),
    ),
  'events of twenty thousand content_ids': (size) =>
    atTheBounds(size, (_, n) =>
      event(
        `,"custom_data":{"content_ids":[${Array.from({ length: 19_900 }, () => '1e-40').join(',')}]}`,
        undefined,
        `a${n}`,
      ),
    ),
  'events of one long number': (size) =>
    atTheBounds(size, (share, n) =>
      event(`,"custom_data":{"value":${'9'.repeat(share - 300)}}`, undefined, `a${n}`),
    ),
}
