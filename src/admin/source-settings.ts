/** What operators may set of a source, and what it means for one that is there already. */
import { Type, type Static } from '../type.ts'
import { InvalidRequest } from '../errors.ts'
import { MAX_EVENT_NAME_LENGTH } from '../events/schema.ts'
import { defaultOptions, SOURCE_KINDS, type SourceKind, type SourceOptions } from '../sources/source.ts'
import { changeSettings } from '../vault/records.ts'
import type { Source, SourceSettings } from '../vault/vault.ts'
import { AdAccountId, camelOf, Label, sendOrFilter, textOf } from './answers.ts'

export const SourceId = textOf('^[a-z0-9-]{1,64}$', 'must be a to z, digits and hyphens, 64 at most')

const Path = Type.String({ minLength: 1, maxLength: 200 })
const Template = textOf('\\{[^{}]+\\}', 'must hold a path in braces', {
  maxLength: 400,
  description: 'Paths of the payload in braces, such as `{id}` or `{note_attributes.event_id}`.',
})
export const Events = Type.Record(
  Type.String({ maxLength: 100 }),
  Type.OrNull(Type.String({ minLength: 1, maxLength: MAX_EVENT_NAME_LENGTH })),
  { maxProperties: 100, description: 'By topic: the event that it becomes; null: none.' },
)
const Field = Type.Closed(
  { require: Type.Optional(Path), limit: Type.Optional(Path) },
  { minProperties: 1, maxProperties: 1 },
)
export const Consent = Type.Unsafe<SourceOptions['consent']>(
  Type.Union([Type.Enum(['send']), Field], {
    description:
      '`require`, a path: where that field of the payload is not true, nothing is sent. `limit`: it is sent with limited data processing.',
  }),
)
const HeaderName = textOf('^[A-Za-z0-9-]{1,100}$', 'must be the name of a header')
const SignatureBody = Type.Closed({
  header: HeaderName,
  algorithm: Type.Optional(
    Type.Enum(['sha256', 'sha1', 'none'], {
      description: 'Of the HMAC; `none`: the header holds the secret itself.',
    }),
  ),
  encoding: Type.Optional(Type.Enum(['hex', 'base64'])),
  prefix: Type.Optional(Type.String({ maxLength: 50 })),
  timestamp_header: Type.OrDefault(HeaderName),
  tolerance_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 86_400 })),
})

export const SourceBody = Type.Closed(
  {
    kind: Type.Optional(Type.Enum([...SOURCE_KINDS])),
    ad_account_id: Type.Optional(AdAccountId),
    /** The one before it stays valid until it is dropped. */
    secret: Type.Optional(
      textOf('^\\S[^]*\\S$', 'must not have white space at its ends', {
        minLength: 8,
        maxLength: 1024,
        description: 'Without white space at its ends, which is easily pasted along and signs nothing.',
      }),
    ),
    drop_previous_secret: Type.Optional(Type.Boolean()),
    label: Type.OrDefault(Label),
    events: Type.OrDefault(Events),
    event_id: Type.OrDefault(Template),
    content_id: Type.OrDefault(Template),
    consent: Type.OrDefault(Consent),
    bots: Type.OrDefault(sendOrFilter()),
    test: Type.OrDefault(Type.Boolean({ description: 'Everything that it sends is a test event.' })),
    point_of_sale: Type.OrDefault(sendOrFilter()),
    renewals: Type.OrDefault(sendOrFilter()),
    money: Type.OrDefault(Type.Enum(['shop', 'presentment'])),
    paid_statuses: Type.OrDefault(
      Type.Array(Type.String({ minLength: 1, maxLength: 40 }), { minItems: 1, maxItems: 20 }),
    ),
    signature: Type.Optional(SignatureBody),
    expression: Type.Optional(Type.String({ minLength: 1, maxLength: 16_384 })),
  },
  {
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
export function readSettings(body: Body, before: Source | undefined): SourceSettings {
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
    ...changeSettings<Pick<Source, 'label' | 'bots'>>(before ?? STANDARD, body, STANDARD),
    options: readOptions(kind, body, before?.options),
  }
}

const STANDARD = { label: '', bots: undefined }

function readOptions(kind: SourceKind, body: Body, before: SourceOptions | undefined): SourceOptions {
  const { signature, test: isTest, ...rest } = body
  const given = {
    ...camelOf(rest),
    isTest,
    signature: signature && readSignature(signature),
  }
  const standard = defaultOptions(kind)
  const options = changeSettings(before ?? standard, given, standard)
  if (kind === 'custom') {
    if (options.signature === undefined) throw new InvalidRequest('signature: is required for a new source.')
    if (options.expression === undefined)
      throw new InvalidRequest('expression: is required for a new source.')
  }
  return options
}

function readSignature(given: Static<typeof SignatureBody>): SourceOptions['signature'] {
  return {
    algorithm: 'sha256',
    encoding: 'hex',
    prefix: '',
    toleranceSeconds: 300,
    ...camelOf(given),
    header: given.header.toLowerCase(),
    timestampHeader: given.timestamp_header?.toLowerCase(),
  }
}
