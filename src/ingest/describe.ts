/**
 * The public port as an OpenAPI document, made from the schema of an event as it is sent. The relay accepts more (raw
 * values, one value or several, numbers as text, nulls): the request's description says so; new code should use the strict form.
 */
import { Type } from '../type.ts'
import { EventSchema } from '../events/schema.ts'
import { PINTEREST_CODES } from '../errors.ts'
import { EventAnswerSchema, PROCESSED, QUEUED_WARNING } from './answers.ts'

type Json = Readonly<Record<string, unknown>>

export function describePublicPort(version: string): Record<string, unknown> {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Pinrelay, public port',
      version,
      description:
        "Pinterest's own path, body and answers: clients of its Conversions API work by changing their base URL, with a relay key as the access token.",
    },
    servers: [serverAt('http://127.0.0.1:8080', 'Where storefronts reach the relay.')],
    components: {
      securitySchemes: { relayKey: { type: 'http', scheme: 'bearer', description: 'A relay key.' } },
      schemas: { Event: eventAsPosted(), Answer: ANSWER, Error: ERROR },
    },
    security: [{ relayKey: [] }],
    paths: {
      '/v5/ad_accounts/{ad_account_id}/events': { post: POST },
      '/sources/{source_id}': { post: WEBHOOK },
      '/livez': { get: health('livez', 'Whether the process works', { 200: 'It does.' }) },
      '/readyz': {
        get: health('readyz', 'Whether posts are taken', { 200: 'They are.', 503: 'They are not.' }),
      },
    },
  }
}

/** The relay does not know its public name. */
export function serverAt(url: string, description: string) {
  return { url: '{origin}', description, variables: { origin: { default: url } } }
}

/** The event's own schema, with the lists of hashes widened to what may be posted. */
function eventAsPosted(): Json {
  const schema = structuredClone(EventSchema) as unknown as {
    properties: { user_data: { properties: Record<string, Record<string, unknown>> } }
  }
  const fields = schema.properties.user_data.properties
  const hashed = Object.keys(fields).filter((name) => fields[name]!['type'] === 'array')
  for (const field of hashed) {
    fields[field] = {
      oneOf: [{ type: 'array', minItems: 1, items: { type: 'string' } }, { type: 'string' }],
      description: 'Raw or hashed, one value or several.',
    }
  }
  return schema
}

const ref = (name: 'Event' | 'Answer' | 'Error') => Type.Unsafe({ $ref: `#/components/schemas/${name}` })

const ANSWER = Type.Closed({
  num_events_received: Type.Integer(),
  num_events_processed: Type.Integer(),
  events: Type.Array(EventAnswerSchema, { description: 'One entry per event, in the order of the post.' }),
})
const ERROR = Type.Closed({ code: Type.Integer(), message: Type.String() })
const PARTLY = Type.Closed({
  code: Type.Unsafe({ const: PINTEREST_CODES.partlyProcessed }),
  message: Type.String(),
  details: ref('Answer'),
})

const json = (schema: object, example?: unknown) => ({
  'application/json': { schema, ...(example !== undefined && { example }) },
})
const header = (name: string, description: string, schema: object) => ({ [name]: { description, schema } })
const refusal = (description: string, example?: unknown) => ({
  description,
  // Where a retry makes sense.
  ...(/Code (8|4197)/.test(description) && {
    headers: header('Retry-After', 'Seconds to wait.', { type: 'integer', minimum: 1 }),
  }),
  content: json(ref('Error'), example),
})
const answer = (description: string, example: unknown, schema: object = ref('Answer')) => ({
  description,
  headers: {
    ...header(
      'Relay-Queued',
      "How many of the post's events are on disk and wait for Pinterest. Absent when none does.",
      { type: 'integer', minimum: 1 },
    ),
    ...header('Preference-Applied', 'What of `Prefer` was applied.', { type: 'string' }),
  },
  content: json(schema, example),
})

/** An order, with raw values as a shop has them. */
export const EXAMPLE_EVENT = {
  event_name: 'checkout',
  action_source: 'web',
  event_time: 1_767_225_600,
  event_id: 'order-4711',
  event_source_url: 'https://shop.example/checkout/thanks',
  user_data: {
    em: 'person@example.com',
    ph: '+1 415 555 2671',
    country: 'US',
    client_ip_address: '203.0.113.7',
    client_user_agent: 'Mozilla/5.0 (X11; Linux x86_64)',
  },
  custom_data: { currency: 'USD', value: '72.39', order_id: '4711' },
}
const TAKEN = { num_events_received: 1, num_events_processed: 1, events: [PROCESSED] }
const WAITS = { ...PROCESSED, warning_message: QUEUED_WARNING }
const MISSING = { ...PROCESSED, status: 'failed', error_message: 'action_source: is required' }

/** Answers that posts of storefronts and webhooks of shops have in common. */
const REFUSALS = {
  408: refusal('The body came too slowly. Code 4196.'),
  413: refusal('The body is over BODY_LIMIT_BYTES. Code 4196.'),
  429: refusal("Over the account's posts per minute. Code 8.", {
    code: PINTEREST_CODES.rateLimited,
    message: 'Over 5000 posts per minute for this ad account.',
  }),
}

const POST: Json = {
  operationId: 'events/create',
  summary: 'Post conversions',
  description:
    'Each event is checked, normalized, hashed, stored and delivered on its own. A 2xx means that none is lost.',
  parameters: [
    parameter('path', 'ad_account_id', { type: 'string', pattern: '^\\d+$', maxLength: 18 }),
    parameter('query', 'test', {
      type: 'boolean',
      description: 'true, True or 1: Pinterest checks the events and records nothing.',
    }),
    parameter('header', 'Prefer', {
      type: 'string',
      description:
        'RFC 7240. `respond-async`: answer once the events are on disk. `wait=N`: wait up to N seconds (30 at most) for the outcome. With either, 202 says that some events still wait.',
    }),
  ],
  requestBody: {
    required: true,
    content: json(
      Type.Object({
        data: Type.Array(ref('Event'), {
          minItems: 1,
          maxItems: 1000,
          description:
            'Wider than the schema: nulls are absent, unknown keys are dropped with a warning, numbers may be text and texts numbers, times milliseconds or ISO 8601.',
        }),
      }),
      { data: [EXAMPLE_EVENT] },
    ),
  },
  responses: {
    200: answer('Every event was delivered or is on disk.', TAKEN),
    202: answer('As 200, for posts with `Prefer`, where some events are on disk and wait.', {
      ...TAKEN,
      events: [WAITS],
    }),
    400: refusal(
      'Not JSON, no `data`, 0 or over 1,000 events, an event over its bounds (1,000 keys per object, 20,000 values, 32 levels, 1 MiB), a bad `test` or account id. Code 4196.',
    ),
    401: refusal('The relay key is not known. Code 2.'),
    403: refusal('The key is not for this account, or the account has no token. Code 29.'),
    ...REFUSALS,
    415: refusal('Not application/json in UTF-8, or encoded. Code 4196.'),
    422: answer(
      'Some or all events are invalid, or Pinterest rejected them; the others are on their way.',
      {
        code: PINTEREST_CODES.partlyProcessed,
        message: 'Some events are invalid.',
        details: { num_events_received: 2, num_events_processed: 1, events: [PROCESSED, MISSING] },
      },
      PARTLY,
    ),
    503: refusal(
      'Nothing was taken: the store cannot take it, or the clock of the relay was just set and calls an event too old or of the future. Code 4197.',
    ),
  },
}

const WEBHOOK: Json = {
  operationId: 'sources/post',
  summary: "Post a shop's webhook",
  description:
    "For Shopify, WooCommerce or any other shop that is registered as a source. Signed over the raw body, in the source's own way. The body is the shop's own.",
  security: [],
  parameters: [parameter('path', 'source_id', { type: 'string', pattern: '^[a-z0-9-]{1,64}$' })],
  requestBody: { required: true, content: json({}, { id: 4711, email: 'customer@example.com' }) },
  responses: {
    200: {
      description: 'Its events are on disk, or there was nothing to send.',
      content: json(Type.Closed({ status: Type.Unsafe({ const: 'taken' }) })),
    },
    401: refusal('The signature is none of this source. Code 2.'),
    404: refusal('There is no such source. Code 12.'),
    ...REFUSALS,
    415: refusal('The body is encoded. Code 4196.'),
    503: refusal('Nothing was taken: the store cannot take it. Code 4197.'),
  },
}

function parameter(place: 'path' | 'query' | 'header', name: string, { description, ...schema }: Json) {
  return { name, in: place, required: place === 'path', description, schema }
}

function health(operationId: string, summary: string, texts: Readonly<Record<number, string>>): Json {
  const responses = Object.entries(texts).map(([status, description]) => [status, { description }])
  return { operationId, summary, security: [], responses: Object.fromEntries(responses) as Json }
}
