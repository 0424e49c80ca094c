/**
 * Privacy choices, which must not get lost with the field that they came in. One in the wrong place or in camel case is moved to
 * where Pinterest reads it; one in the words of another API makes the event invalid, since its meaning is not the same.
 */
import { flag } from './coerce/scalars.ts'
import { listOr, OBJECTS_OF_EVENT } from './lists.ts'
import { isAbsent, isObject, type RawObject } from './reading.ts'
import { markInvalid, pathOf, type Report, safeKey } from './report.ts'

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

/** Is the unknown key a choice? Then it is noted, and is not left out as unknown. `name`: what of the key can be shown. */
export function noteChoice(key: string, value: unknown, name: string, report: Report): boolean {
  if (choiceOf(key) !== undefined) {
    report.misplacedChoice ??= pathOf(report, name)
    return true
  }
  if (!OF_OTHER_APIS.has(fold(key)) || saysNothing(value)) return false
  markInvalid(report, 'unreadable_opt_out', name, 'is not read; send opt_out, or opt_out_type of custom_data')
  return true
}

function choiceOf(key: string): Choice | undefined {
  return CHOICES.get(fold(key))
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

/** The event with each choice in its place, the paths at which they were, and whether something gave way to one. */
export function placeChoices(raw: RawObject) {
  const found: Record<Choice, unknown[]> = { opt_out: [], opt_out_type: [] }
  const moved: string[] = []

  /** The object without its choices. `prefix` is where it is. */
  function takeFrom(object: RawObject, prefix: string): Record<string, unknown> {
    const others = Object.entries(object).filter(([key, value]) => {
      const choice = choiceOf(key)
      if (choice === undefined || isAbsent(value)) return choice === undefined
      found[choice].push(value)
      if (prefix + key !== HOME[choice]) moved.push(prefix + safeKey(key))
      return false
    })
    return Object.fromEntries(others)
  }

  const event = takeFrom(raw, '')
  for (const name of OBJECTS_OF_EVENT) {
    const object = raw[name]
    if (isObject(object)) event[name] = takeFrom(object, `${name}.`)
  }
  const customData = event['custom_data']
  const isReadable = isAbsent(customData) || isObject(customData)
  if (found.opt_out.length > 0) event['opt_out'] = strictest(found.opt_out)
  if (found.opt_out_type.length > 0) {
    event['custom_data'] = { ...(isReadable && customData), opt_out_type: agreed(found.opt_out_type) }
  }
  return { event, moved, isCustomDataLost: found.opt_out_type.length > 0 && !isReadable }
}

const HOME: Readonly<Record<Choice, string>> = {
  opt_out: 'opt_out',
  opt_out_type: 'custom_data.opt_out_type',
}

/** An opt-out counts wherever it is; what cannot be read will make the event invalid. */
function strictest(values: readonly unknown[]): unknown {
  const said = values.map((value) => {
    const reading = flag(value)
    return reading.status === 'read' ? reading.value : value
  })
  return said.includes(true) || (said.find((value) => value !== false) ?? false)
}

/** A list, if they differ, which will make the event invalid. */
function agreed(values: readonly unknown[]): unknown {
  return new Set(values).size === 1 ? values[0] : values
}
