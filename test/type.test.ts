import t from 'tap'
import * as typebox from 'typebox'
import { Type } from '../src/type.ts'

const options = { description: 'what it is' }

/** As JSON, in which TypeBox's own marks are not. */
function examples(
  make: Pick<typeof Type, keyof typeof typebox.Type & keyof typeof Type>,
): Record<string, object> {
  const text = make.String({ maxLength: 5, ...options })
  return {
    Array: make.Array(text, { maxItems: 3 }),
    Boolean: make.Boolean(options),
    Enum: make.Enum(['a', 'b'], options),
    Integer: make.Integer({ minimum: 0 }),
    Literal: make.Union([make.Literal('a'), make.Literal(1), make.Literal(true)], options),
    Null: make.Null(),
    Number: make.Number(options),
    Object: make.Object(
      { must: text, may: make.Optional(text), inner: make.Object({ may: make.Optional(make.Unknown()) }) },
      { additionalProperties: false },
    ),
    Optional: make.Optional(make.Array(text)),
    Record: make.Record(text, make.Unknown(options), { maxProperties: 3 }),
    'Record of a pattern': make.Record(make.String({ pattern: '^a+$' }), text),
    'Record of words': make.Record(make.Enum(['a', 'b']), make.Number(), options),
    Unsafe: make.Object({ list: make.Unsafe<string>({ enum: ['a'], ...options }), null: make.Unsafe(text) }),
  }
}

const theirs = examples(typebox.Type)
for (const [kind, schema] of Object.entries(examples(Type))) {
  t.test(`${kind} is the schema that TypeBox makes`, async (t) => {
    t.equal(JSON.stringify(schema), JSON.stringify(theirs[kind]))
  })
}

t.test('a schema that is optional somewhere is required elsewhere', async (t) => {
  const text = Type.String()
  Type.Object({ text: Type.Optional(text) })
  t.strictSame(Type.Object({ text }).required, ['text'])
})
