/**
 * Reads Pinterest's quality scores: what is promised is checked, what is not is left out, so that nothing unforeseen is kept or
 * shown. Loaded when scores are asked for, since `typebox/value` takes longer to load than the rest of TypeBox.
 */
import { Value } from 'typebox/value'
import { Scores, type QualityScore } from './quality-score.ts'

/** Undefined where the answer is not what Pinterest promises. */
export function readScores(body: unknown): readonly QualityScore[] | undefined {
  const cleaned = Value.Clean(Scores, structuredClone(body))
  return Value.Check(Scores, cleaned) ? cleaned : undefined
}
