/** What operators may set of a source, and what it means for one that is there already. */
import { Type, type Static, type TSchema } from 'typebox'
import { InvalidRequest } from '../errors.ts'
import { MAX_EVENT_NAME_LENGTH } from '../events/schema.ts'
import { defaultOptions, SOURCE_KINDS, type SourceKind, type SourceOptions } from '../sources/source.ts'
import type { Source } from '../vault/vault.ts'
import { AdAccountId, closed, orNull } from './answers.ts'

export const SourceId = Type.String({ pattern: '^[a-z0-9-]{1,64}$' })

/** Absent: stays as it is. Null: back to the default. */
const orDefault = <Schema extends TSchema>(schema: Schema) => Type.Optional(orNull(schema))
const Path = Type.String({ minLength: 1, maxLength: 200 })
const Template = Type.String({
  maxLength: 400,
  pattern: '\\{[^{}]+\\}',
  description: 'Paths of the payload in braces, such as `{id}` or `{note_attributes.event_id}`.',
})
export const Events = Type.Record(
  Type.String({ maxLength: 100 }),
  orNull(Type.String({ minLength: 1, maxLength: MAX_EVENT_NAME_LENGTH })),
  { maxProperties: 100, description: 'By topic: the event that it becomes; null: none.' },
)
const SEND = Type.Enum(['send'])
export const Consent = Type.Union(
  [SEND, Type.Object({ require: Path }, closed), Type.Object({ limit: Path }, closed)],
  {
    description:
      '`require`, a path: where that field of the payload is not true, nothing is sent. `limit`: it is sent with limited data processing.',
  },
)
export const sendOrFilter = () => Type.Enum(['send', 'filter'])
const HeaderName = Type.String({ pattern: '^[A-Za-z0-9-]{1,100}$' })
const SignatureBody = Type.Object(
  {
    header: HeaderName,
    algorithm: Type.Optional(
      Type.Enum(['sha256', 'sha1', 'none'], {
        description: 'Of the HMAC; `none`: the header holds the secret itself.',
      }),
    ),
    encoding: Type.Optional(Type.Enum(['hex', 'base64'])),
    prefix: Type.Optional(Type.String({ maxLength: 50 })),
    timestamp_header: orDefault(HeaderName),
    tolerance_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 86_400 })),
  },
  closed,
)

export const SourceBody = Type.Object(
  {
    kind: Type.Optional(Type.Enum([...SOURCE_KINDS])),
    ad_account_id: Type.Optional(AdAccountId),
    /** The one before it stays valid until it is dropped. */
    secret: Type.Optional(
      Type.String({
        minLength: 8,
        maxLength: 1024,
        pattern: '^\\S[^]*\\S$',
        description: 'Without white space at its ends, which is easily pasted along and signs nothing.',
      }),
    ),
    drop_previous_secret: Type.Optional(Type.Boolean()),
    label: orDefault(Type.String({ maxLength: 200 })),
    events: orDefault(Events),
    event_id: orDefault(Template),
    content_id: orDefault(Template),
    consent: orDefault(Consent),
    bots: orDefault(sendOrFilter()),
    test: orDefault(Type.Boolean({ description: 'Everything that it sends is a test event.' })),
    point_of_sale: orDefault(sendOrFilter()),
    renewals: orDefault(sendOrFilter()),
    money: orDefault(Type.Enum(['shop', 'presentment'])),
    paid_statuses: orDefault(
      Type.Array(Type.String({ minLength: 1, maxLength: 40 }), { minItems: 1, maxItems: 20 }),
    ),
    signature: Type.Optional(SignatureBody),
    expression: Type.Optional(Type.String({ minLength: 1, maxLength: 16_384 })),
  },
  {
    ...closed,
    examples: [{ kind: 'shopify', ad_account_id: '549755885175', secret: 'the secret of the webhooks' }],
  },
)
type Body = Static<typeof SourceBody>

/** Fields that mean nothing to the other kinds. */
const ONLY_OF: Readonly<Record<string, readonly SourceKind[]>> = {
  events: ['shopify', 'woocommerce'],
  event_id: ['shopify', 'woocommerce'],
  content_id: ['shopify', 'woocommerce'],
  point_of_sale: ['shopify', 'woocommerce'],
  renewals: ['shopify', 'woocommerce'],
  money: ['shopify'],
  paid_statuses: ['woocommerce'],
  signature: ['custom'],
  expression: ['custom'],
}

/** What is absent stays as it is; null goes back to the default. Throws INVALID_REQUEST. */
export function readSettings(body: Body, before: Source | undefined) {
  const kind = body.kind ?? before?.options.kind
  if (kind === undefined) throw new InvalidRequest('kind: is required for a new source.')
  if (before !== undefined && kind !== before.options.kind)
    throw new InvalidRequest('kind: stays as it is; remove the source first.')
  for (const [field, kinds] of Object.entries(ONLY_OF)) {
    if (body[field as keyof Body] !== undefined && !kinds.includes(kind))
      throw new InvalidRequest(`${field}: is not for sources of the kind ${kind}.`)
  }
  const adAccountId = body.ad_account_id ?? before?.adAccountId
  if (adAccountId === undefined) throw new InvalidRequest('ad_account_id: is required for a new source.')
  return {
    adAccountId,
    label: choose(body.label, before?.label ?? '', ''),
    bots: choose(body.bots, before?.bots, undefined),
    options: readOptions(kind, body, before?.options),
  }
}

function readOptions(kind: SourceKind, body: Body, before: SourceOptions | undefined): SourceOptions {
  const standard = defaultOptions(kind)
  const known = before ?? standard
  const options: SourceOptions = {
    kind,
    events: choose(body.events, known.events, standard.events),
    eventId: choose(body.event_id, known.eventId, undefined),
    contentId: choose(body.content_id, known.contentId, undefined),
    consent: body.consent === undefined ? known.consent : readConsent(body.consent),
    isTest: choose(body.test, known.isTest, standard.isTest),
    pointOfSale: choose(body.point_of_sale, known.pointOfSale, standard.pointOfSale),
    renewals: choose(body.renewals, known.renewals, standard.renewals),
    money: choose(body.money, known.money, standard.money),
    paidStatuses: choose(body.paid_statuses, known.paidStatuses, standard.paidStatuses),
    signature: body.signature === undefined ? known.signature : readSignature(body.signature),
    expression: body.expression ?? known.expression,
  }
  if (kind === 'custom') {
    if (options.signature === undefined) throw new InvalidRequest('signature: is required for a new source.')
    if (options.expression === undefined)
      throw new InvalidRequest('expression: is required for a new source.')
  }
  return options
}

function choose<Value>(given: Value | null | undefined, known: Value, otherwise: Value): Value {
  return given === undefined ? known : (given ?? otherwise)
}

function readConsent(consent: Static<typeof Consent> | null): SourceOptions['consent'] {
  if (consent === null || typeof consent === 'string') return undefined
  return 'require' in consent
    ? { unless: 'filter', path: consent.require }
    : { unless: 'limit', path: consent.limit }
}

function readSignature(signature: Static<typeof SignatureBody>): SourceOptions['signature'] {
  const { header, algorithm = 'sha256', encoding = 'hex', prefix = '', tolerance_seconds = 300 } = signature
  return {
    header: header.toLowerCase(),
    algorithm,
    encoding,
    prefix,
    timestampHeader: signature.timestamp_header?.toLowerCase(),
    toleranceSeconds: tolerance_seconds,
  }
}
