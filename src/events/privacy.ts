/**
 * Privacy choices, which must not get lost with the field that they came in. One in the wrong place or in camel case is moved to
 * where Pinterest reads it; one in the words of another API makes the event invalid, since its meaning is not the same.
 */
import { demanded, flag, text } from './coerce/scalars.ts'
import { listOr } from './lists.ts'
import { isAbsent } from './reading.ts'
import { markInvalid, noteReading, type Report, warn } from './report.ts'
import type { PreparedEvent } from './schema.ts'

/** Leaving out what cannot be read could undo the choice. */
export const CHOICES = {
  opt_out: demanded(flag, 'unreadable_opt_out', 'true or false'),
  opt_out_type: demanded(text, 'unreadable_opt_out', 'text such as LDP'),
}

const NAMES: ReadonlyMap<string, keyof typeof CHOICES> = new Map([
  ['optout', 'opt_out'],
  ['optouttype', 'opt_out_type'],
])

/** Of Meta, TikTok, Google and Snap. */
const OF_OTHER_APIS: ReadonlySet<string> = new Set([
  'dataprocessingoptions',
  'limiteddatause',
  'restricteddataprocessing',
  'datause',
])

const LONGEST_KEY = 40

/** Is the unknown key a choice? Then it is noted, and is not left out as unknown. `name`: what of the key can be shown. */
export function noteChoice(key: string, value: unknown, name: string, report: Report): boolean {
  const folded = fold(key)
  const choice = NAMES.get(folded)
  if (choice === undefined) {
    if (!OF_OTHER_APIS.has(folded) || saysNothing(value)) return false
    const rule = 'is not read; send opt_out, or opt_out_type of custom_data'
    markInvalid(report, 'unreadable_opt_out', name, rule)
    return true
  }
  const reading = CHOICES[choice](value)
  if (reading.status !== 'read') noteReading(reading, name, report)
  else if (report.at.length > 1) {
    markInvalid(report, 'unreadable_opt_out', name, 'is not read here; send it with the event')
  } else {
    warn(report, name, 'moved')
    report.choices.push(reading.value)
  }
  return true
}

function fold(key: string): string {
  return key.length > LONGEST_KEY ? '' : key.toLowerCase().replace(/[\s_-]+/g, '')
}

/** An empty list is Meta's way to say that there is no restriction; it comes in every form that lists come in. */
function saysNothing(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(saysNothing)
  const list = listOr(value)
  // Of text, which may hold lists of any depth, only the first level is read.
  if (Array.isArray(list)) return list.every((one) => isAbsent(one) || isSwitchedOff(one))
  if (typeof list === 'object' && list !== null) return Object.keys(list).length === 0
  return isAbsent(value) || isSwitchedOff(value)
}

function isSwitchedOff(value: unknown): boolean {
  const reading = flag(value)
  return reading.status === 'absent' || (reading.status === 'read' && !reading.value)
}

/** Of what cannot be read: does it speak of a choice? JSON that came as text may be nested deeper than the stack. */
export function holdsChoice(value: unknown, depth = DEEPEST): boolean {
  if (typeof value === 'string') return CHOICE.test(value)
  if (typeof value !== 'object' || value === null || depth === 0) return false
  return Object.entries(value).some(([key, one]) => CHOICE.test(key) || holdsChoice(one, depth - 1))
}

const CHOICE = /opt[\s_-]*out/i
const DEEPEST = 32

/** The event with the choices that were elsewhere. An opt-out counts wherever it is. */
export function placeChoices(event: PreparedEvent, report: Report): PreparedEvent | undefined {
  const { choices } = report
  if (choices.length === 0) return event
  const own = event.custom_data?.opt_out_type
  const optOuts = choices.filter((choice) => typeof choice === 'boolean')
  const types = new Set(choices.filter((choice) => typeof choice === 'string'))
  if (own !== undefined) types.add(own)
  if (types.size > 1) {
    return markInvalid(report, 'unreadable_opt_out', 'custom_data.opt_out_type', 'must not be two at once')
  }
  const [type] = types
  return {
    ...event,
    ...(optOuts.length > 0 && { opt_out: event.opt_out === true || optOuts.includes(true) }),
    ...(type !== undefined && { custom_data: { ...event.custom_data, opt_out_type: type } }),
  }
}
