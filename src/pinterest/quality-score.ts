/**
 * Pinterest's Event Quality Score as it answers it. Source: `conversion_eqs/list` in Pinterest's OpenAPI description 5.23.0.
 */
import { Type, type Static } from 'typebox'

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

/**
 * Reads scores: documented fields are checked, others left out, so that nothing unknown is kept or shown. Loaded
 * when scores are asked for, since `typebox/value` takes longer to load than the rest of TypeBox.
 */
export async function loadScoreReader() {
  const { Value } = await import('typebox/value')
  /** Undefined where the answer is not what Pinterest promises. */
  return (body: unknown): readonly QualityScore[] | undefined => {
    const cleaned = Value.Clean(Scores, structuredClone(body))
    return Value.Check(Scores, cleaned) ? cleaned : undefined
  }
}
