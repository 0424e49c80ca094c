/**
 * Privacy choices, which must not get lost with the field that they came in. One in the wrong place or in camel case is moved to
 * where Pinterest reads it; one in the words of another API makes the event invalid, since its meaning is not the same.
 */
import { flag } from './coerce/scalars.ts'
import { listOr } from './lists.ts'
import { isAbsent, type RawObject } from './reading.ts'
import { markInvalid, type Report, safeKey } from './report.ts'

type Choice = 'opt_out' | 'opt_out_type'

const CHOICES: ReadonlyMap<string, Choice> = new Map([
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

/** Is the unknown key a choice? Then it is noted, and is not left out as unknown. `path` is where it stands. */
export function noteChoice(key: string, value: unknown, path: string, report: Report): boolean {
  if (key.length > LONGEST_KEY) return false
  const folded = fold(key)
  if (CHOICES.has(folded)) {
    report.misplacedChoice ??= path
    return true
  }
  if (!OF_OTHER_APIS.has(folded) || saysNothing(value)) return false
  markInvalid(report, 'unreadable_opt_out', path, 'is not read; send opt_out, or opt_out_type of custom_data')
  return true
}

function fold(key: string): string {
  return key.toLowerCase().replace(/[\s_-]+/g, '')
}

/** An empty list is Meta's way to say that there is no restriction; it comes in every form that lists come in. */
function saysNothing(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(saysNothing)
  const list = listOr(value)
  // Of text, which may hold lists of any depth, only the first level is looked at.
  if (Array.isArray(list)) return list.every((one) => isAbsent(one) || isSwitchedOff(one))
  if (typeof list === 'object' && list !== null) return Object.keys(list).length === 0
  return isAbsent(value) || isSwitchedOff(value)
}

function isSwitchedOff(value: unknown): boolean {
  const reading = flag(value)
  return reading.status === 'absent' || (reading.status === 'read' && !reading.value)
}

/** Of what cannot be read: does it speak of a choice? */
export function holdsChoice(value: unknown): boolean {
  return /opt[\s_-]*out/i.test(typeof value === 'string' ? value : JSON.stringify(value))
}

/** Objects of the event in which a choice is found; the event itself is `''`. */
const LEVELS = ['', 'user_data', 'custom_data', 'app_info', 'device_info'] as const

/** The event with each choice in its place, the paths at which they stood, and whether something gave way to one. */
export function placeChoices(raw: RawObject): {
  readonly event: RawObject
  readonly moved: readonly string[]
  readonly isCustomDataLost: boolean
} {
  const event: Record<string, unknown> = { ...raw }
  const found: Record<Choice, unknown[]> = { opt_out: [], opt_out_type: [] }
  const moved: string[] = []
  for (const level of LEVELS) {
    const object = level === '' ? raw : raw[level]
    if (typeof object !== 'object' || object === null || Array.isArray(object)) continue
    const kept = new Map(Object.entries(object))
    for (const [key, value] of Object.entries(object)) {
      const choice = key.length > LONGEST_KEY ? undefined : CHOICES.get(fold(key))
      if (choice === undefined) continue
      kept.delete(key)
      if (level === '') delete event[key]
      if (isAbsent(value)) continue
      found[choice].push(value)
      if (key !== choice || level !== HOME[choice])
        moved.push((level === '' ? '' : `${level}.`) + safeKey(key))
    }
    if (level !== '') event[level] = Object.fromEntries(kept)
  }
  const customData = event['custom_data']
  const isReadable = isAbsent(customData) || (typeof customData === 'object' && !Array.isArray(customData))
  const isCustomDataLost = found.opt_out_type.length > 0 && !isReadable
  if (found.opt_out.length > 0) event['opt_out'] = strictest(found.opt_out)
  if (found.opt_out_type.length > 0) {
    event['custom_data'] = {
      ...(isReadable && customData),
      opt_out_type: agreed(found.opt_out_type),
    }
  }
  return { event, moved, isCustomDataLost }
}

const HOME: Readonly<Record<Choice, (typeof LEVELS)[number]>> = { opt_out: '', opt_out_type: 'custom_data' }

/** An opting out counts wherever it is said; what cannot be read will make the event invalid. */
function strictest(values: readonly unknown[]): unknown {
  const isSaid = (said: boolean) => (value: unknown) => {
    const reading = flag(value)
    return reading.status === 'read' && reading.value === said
  }
  return values.find(isSaid(true)) ?? values.find((value) => !isSaid(false)(value)) ?? values[0]
}

/** A list, if they differ, which will make the event invalid. */
function agreed(values: readonly unknown[]): unknown {
  return new Set(values).size === 1 ? values[0] : values
}
