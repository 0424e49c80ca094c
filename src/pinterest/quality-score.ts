/**
 * Pinterest's Event Quality Score as it answers it. Source: `conversion_eqs/list` in Pinterest's OpenAPI description 5.23.0.
 */
import { Check } from 'typebox/schema'
import { Type, type Described, type Static } from '../type.ts'

const Issue = Type.Object({
  id: Type.String({ maxLength: 200 }),
  name: Type.String({ maxLength: 500 }),
  reason: Type.String({ maxLength: 2000 }),
})

/** Of one event name: percentages. */
const Details = Type.Object({
  coverage: Type.Number(),
  /** Only of `external_event_id`: how many are known from the browser tag as well. */
  overlap: Type.Optional(Type.Number()),
  issues: Type.Optional(Type.Array(Issue, { maxItems: 100 })),
})

export const Score = Type.Object({
  overall_status: Type.String({ maxLength: 50 }),
  ingestion_source: Type.String({ maxLength: 50 }),
  source_platform: Type.String({ maxLength: 50 }),
  lookback_period: Type.String({ maxLength: 50 }),
  /** By identifier (`hashed_email`, `click_id_epik`, …), then by event name. */
  quality_components: Type.Record(
    Type.String({ maxLength: 100 }),
    Type.Record(Type.String({ maxLength: 200 }), Details),
  ),
})

const Scores = Type.Array(Score, { maxItems: 100 })

export type QualityScore = Static<typeof Score>

/** Documented fields are checked, others left out, so that nothing unknown is kept or shown. Undefined: not as Pinterest promises. */
export function readScores(body: unknown): readonly QualityScore[] | undefined {
  const known = withoutUnknown(Scores, body)
  return Check(Scores, known) ? known : undefined
}

function withoutUnknown({ items, properties, patternProperties }: Described, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return items ? value.map((item) => withoutUnknown(items, item)) : value
  const [ofAny] = Object.values(patternProperties ?? {})
  const fields = Object.entries(value).flatMap(([name, field]) => {
    const schema = ofAny ?? (Object.hasOwn(properties ?? {}, name) ? properties![name] : undefined)
    return schema ? [[name, withoutUnknown(schema, field)] as const] : []
  })
  return Object.fromEntries(fields)
}
