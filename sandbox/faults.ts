/**
 * Faults on demand. A fault rule says which calls it is for, how often, and what goes wrong with them. The path of a call:
 *
 *   arrived ──reset beforeBody──> gone
 *      │ the body is read
 *      ├─ status, reset, hang ───────────────────────────> answered, gone or left hanging; never judged
 *      ├─ poison (the call holds the event) ─────────────> answered; never judged
 *      ├─ firewall (the call holds the text) ────────────> answered with a page; never judged
 *      │ judged (failEvents adds failed events) and recorded
 *      ├─ status, reset, hang with isRecorded ───────────> answered, gone or left hanging; the outcome is lost
 *      │ the delays of all matching latency rules
 *      └─ truncated, drip, wrongCount, hugeAnswer, none ─> answered, in that shape
 *
 * The endpoints for tokens and scores know `latency`, `status`, `reset` and `hang`; there, recorded means that what was
 * asked for was done: a code or a refresh token is used up, even if the answer is lost.
 *
 * Of the rules that match a call, every `latency` and the first of the others apply: `pickFault` decides, without
 * touching anything; `createFaults` keeps the rules and counts how often each was used; `calls.ts` acts.
 */
import { Type, type Static } from '../src/type.ts'
import { Compile } from 'typebox/schema'

import { describeRefusal } from './refusal.ts'

export type Fault = Static<typeof FaultSchema>
export type FaultRule = Static<typeof FaultRuleSchema>

/** A rule in use. */
export interface ActiveRule {
  readonly rule: FaultRule
  /** How often it was applied. */
  used: number
}

/** Which of Pinterest's endpoints a rule is about. */
export type Endpoint = Static<typeof EndpointSchema>

export interface FaultCall {
  /** Absent: the events endpoint. */
  readonly endpoint?: Endpoint
  readonly adAccountId: string
  readonly isTest: boolean
  /** Before the body is read the events are unknown. */
  readonly moment: 'head' | 'body'
  readonly events: readonly unknown[]
}

export interface FaultDecision {
  readonly delayMs: number
  readonly fault: Fault | undefined
  readonly applied: readonly ActiveRule[]
}

export interface Faults {
  /** Decides and counts. */
  pick(call: FaultCall): FaultDecision
  /** Replaces all rules. */
  set(rules: readonly FaultRule[]): void
  add(rule: FaultRule): void
  list(): readonly { readonly rule: FaultRule; readonly used: number }[]
  clear(): void
}

export function createFaults(random: () => number): Faults {
  let active: ActiveRule[] = []
  return {
    pick(call) {
      if (active.length === 0) return NO_FAULT
      const decision = pickFault(active, call, random)
      for (const used of decision.applied) used.used += 1
      return decision
    },
    set(rules) {
      active = rules.map((rule) => ({ rule, used: 0 }))
    },
    add(rule) {
      active.push({ rule, used: 0 })
    },
    list: () => active.map(({ rule, used }) => ({ rule, used })),
    clear() {
      active = []
    },
  }
}

/** Pure, but for the numbers that it draws from `random` (one per matching rule that has a probability). */
export function pickFault(
  rules: readonly ActiveRule[],
  call: FaultCall,
  random: () => number,
): FaultDecision {
  let delayMs = 0
  let fault: Fault | undefined
  const applied: ActiveRule[] = []
  for (const active of rules) {
    const { rule } = active
    if (fault !== undefined && rule.kind !== 'latency') continue
    if (!isFor(active, call)) continue
    if (rule.probability !== undefined && random() >= rule.probability) continue
    if (rule.kind === 'latency') delayMs += rule.delayMs
    else fault = rule
    applied.push(active)
  }
  return applied.length === 0 ? NO_FAULT : { delayMs, fault, applied }
}

/** Positions of the events that a `failEvents` fault is about; without a selector, all of them. */
export function selectEvents(
  fault: Extract<Fault, { kind: 'failEvents' }>,
  events: readonly unknown[],
): readonly number[] {
  const { eventIds, eventNames, indexes } = fault
  const isAbout = (event: unknown, index: number): boolean =>
    (eventIds === undefined && eventNames === undefined && indexes === undefined) ||
    indexes?.includes(index) === true ||
    includesText(eventIds, event, 'event_id') ||
    includesText(eventNames, event, 'event_name')
  return events.flatMap((event, index) => (isAbout(event, index) ? [index] : []))
}

/** The rules in a request's body, or why it holds none. */
export function readFaultRules(
  body: unknown,
): { readonly status: 'read'; readonly rules: readonly FaultRule[] } | Refused {
  if (!Array.isArray(body)) return { status: 'refused', message: 'a list of fault rules is expected' }
  const problem = body.findIndex((rule) => !ruleValidator.Check(rule))
  if (problem === -1) return { status: 'read', rules: body as readonly FaultRule[] }
  const rule: unknown = body[problem]
  const kind = typeof rule === 'object' && rule !== null && 'kind' in rule ? rule.kind : undefined
  const schema = typeof kind === 'string' ? kindValidators.get(kind) : undefined
  const message =
    schema === undefined
      ? `kind must be one of ${[...kindValidators.keys()].join(', ')}`
      : describeRefusal(schema, rule)
  return { status: 'refused', message: `rule ${problem}: ${message}` }
}

interface Refused {
  readonly status: 'refused'
  readonly message: string
}

const NO_FAULT: FaultDecision = Object.freeze({ delayMs: 0, fault: undefined, applied: [] })

function isFor({ rule, used }: ActiveRule, call: FaultCall): boolean {
  if (rule.times !== undefined && used >= rule.times) return false
  if ((rule.endpoint ?? 'events') !== (call.endpoint ?? 'events')) return false
  if (rule.adAccountId !== undefined && rule.adAccountId !== call.adAccountId) return false
  if (rule.isTest !== undefined && rule.isTest !== call.isTest) return false
  if (call.moment === 'head') return rule.kind === 'reset' && rule.when === 'beforeBody'
  switch (rule.kind) {
    case 'reset':
      return rule.when !== 'beforeBody'
    case 'poison':
      return call.events.some((event) => includesText(rule.eventIds, event, 'event_id'))
    case 'firewall':
      return rule.text === undefined || JSON.stringify(call.events).includes(rule.text)
    case 'failEvents':
      return selectEvents(rule, call.events).length > 0
    case 'latency':
    case 'status':
    case 'hang':
    case 'drip':
    case 'truncated':
    case 'wrongCount':
    case 'hugeAnswer':
      return true
  }
}

function includesText(texts: readonly string[] | undefined, event: unknown, key: 'event_id' | 'event_name') {
  if (texts === undefined || typeof event !== 'object' || event === null) return false
  const text = (event as Record<string, unknown>)[key]
  return typeof text === 'string' && texts.includes(text)
}

const Texts = Type.Array(Type.String())
const IsRecorded = Type.Optional(Type.Boolean())

const EndpointSchema = Type.Union([
  Type.Literal('events'),
  Type.Literal('token'),
  Type.Literal('conversion_token'),
  Type.Literal('conversion_eqs'),
])

const conditions = {
  endpoint: Type.Optional(EndpointSchema),
  adAccountId: Type.Optional(Type.String()),
  isTest: Type.Optional(Type.Boolean()),
  times: Type.Optional(Type.Integer({ minimum: 1 })),
  probability: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
}

const LONGEST_DELAY_MS = 3_600_000
const LARGEST_ANSWER_BYTES = 2 ** 30

const faultProperties = {
  latency: {
    kind: Type.Literal('latency'),
    delayMs: Type.Number({ minimum: 0, maximum: LONGEST_DELAY_MS }),
  },
  status: {
    kind: Type.Literal('status'),
    status: Type.Integer({ minimum: 200, maximum: 599 }),
    /** Text is sent as it is, `{access_token}` in it as the call's token; anything else as JSON. */
    body: Type.Optional(Type.Unknown()),
    headers: Type.Optional(Type.Record(Type.String(), Type.String())),
    isRecorded: IsRecorded,
  },
  reset: {
    kind: Type.Literal('reset'),
    when: Type.Union([Type.Literal('beforeBody'), Type.Literal('afterBody'), Type.Literal('afterRecording')]),
  },
  hang: { kind: Type.Literal('hang'), isRecorded: IsRecorded },
  drip: {
    kind: Type.Literal('drip'),
    chunkBytes: Type.Integer({ minimum: 1 }),
    intervalMs: Type.Number({ minimum: 0, maximum: LONGEST_DELAY_MS }),
  },
  /** `missingBytes`: how much shorter the body is than its content-length says. */
  truncated: { kind: Type.Literal('truncated'), missingBytes: Type.Optional(Type.Integer({ minimum: 1 })) },
  failEvents: {
    kind: Type.Literal('failEvents'),
    eventIds: Type.Optional(Texts),
    eventNames: Type.Optional(Texts),
    indexes: Type.Optional(Type.Array(Type.Integer({ minimum: 0 }))),
    message: Type.Optional(Type.String()),
    status: Type.Optional(Type.Union([Type.Literal(200), Type.Literal(422)])),
  },
  /** How many results more (or, negative, fewer) than events. */
  wrongCount: { kind: Type.Literal('wrongCount'), difference: Type.Integer() },
  hugeAnswer: {
    kind: Type.Literal('hugeAnswer'),
    sizeBytes: Type.Integer({ minimum: 1, maximum: LARGEST_ANSWER_BYTES }),
  },
  poison: {
    kind: Type.Literal('poison'),
    eventIds: Texts,
    status: Type.Optional(Type.Integer({ minimum: 400, maximum: 499 })),
  },
  /** `text`: as it is in the JSON of an event; absent: every call. */
  firewall: {
    kind: Type.Literal('firewall'),
    text: Type.Optional(Type.String({ minLength: 1 })),
    status: Type.Optional(Type.Integer({ minimum: 300, maximum: 499 })),
  },
}

const closed = { additionalProperties: false } as const

const FaultSchema = Type.Union([
  Type.Object(faultProperties.latency),
  Type.Object(faultProperties.status),
  Type.Object(faultProperties.reset),
  Type.Object(faultProperties.hang),
  Type.Object(faultProperties.drip),
  Type.Object(faultProperties.truncated),
  Type.Object(faultProperties.failEvents),
  Type.Object(faultProperties.wrongCount),
  Type.Object(faultProperties.hugeAnswer),
  Type.Object(faultProperties.poison),
  Type.Object(faultProperties.firewall),
])

const ruleSchemas = [
  Type.Object({ ...conditions, ...faultProperties.latency }, closed),
  Type.Object({ ...conditions, ...faultProperties.status }, closed),
  Type.Object({ ...conditions, ...faultProperties.reset }, closed),
  Type.Object({ ...conditions, ...faultProperties.hang }, closed),
  Type.Object({ ...conditions, ...faultProperties.drip }, closed),
  Type.Object({ ...conditions, ...faultProperties.truncated }, closed),
  Type.Object({ ...conditions, ...faultProperties.failEvents }, closed),
  Type.Object({ ...conditions, ...faultProperties.wrongCount }, closed),
  Type.Object({ ...conditions, ...faultProperties.hugeAnswer }, closed),
  Type.Object({ ...conditions, ...faultProperties.poison }, closed),
  Type.Object({ ...conditions, ...faultProperties.firewall }, closed),
] as const

const FaultRuleSchema = Type.Union([...ruleSchemas])
const ruleValidator = Compile(FaultRuleSchema)
const kindValidators = new Map(
  ruleSchemas.map((schema) => [schema.properties.kind.const as string, Compile(schema)]),
)
