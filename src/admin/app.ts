/**
 * The admin port: for the people and machines that operate the relay. Every route requires the admin token or a session
 * that began with it, except the console's own files and, when METRICS_OPEN or DOCS_OPEN is set, `/metrics` or the
 * description of the public port. Answers never hold a token or a stored key.
 */
import { isIP } from 'node:net'
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifySchemaCompiler,
} from 'fastify'
import type { FastifySchemaValidationError } from 'fastify/types/schema.js'
import { Compile, type Validator, type XSchema } from 'typebox/schema'
import { Type, type TSchema } from '../type.ts'
import { InvalidRequest, NotFound, WrongHost, codeOf } from '../errors.ts'
import { bearerOf } from '../ingest/auth.ts'
import { accountActionRoutes, accountRoutes } from './accounts.ts'
import { answerOf, ruleOfPattern } from './answers.ts'
import { auditChanges, auditRoutes } from './audit.ts'
import { consentRoutes, sendPage, wantsHtml } from './consent.ts'
import { consoleRoutes } from './console.ts'
import { deadLetterRoutes } from './dead-letters.ts'
import { eventRoutes } from './events.ts'
import { explainRoutes } from './explain.ts'
import { insightRoutes, totalsRoutes } from './insight.ts'
import { keyRoutes } from './keys.ts'
import { liveRoutes } from './live.ts'
import { describeRoutes, openapiRoutes } from './openapi.ts'
import type { AdminOptions, AdminRoutes, AdminTypes } from './options.ts'
import { createRefusals, GUESS_AGAIN_S } from './refusals.ts'
import { createSessions, isSame, SESSION_KEY_HEADER, sessionRoutes } from './session.ts'
import { sourceRoutes } from './sources.ts'
import { storeRoutes } from './store-care.ts'

/** In the order of the description, each with its tag there. */
const ROUTES: readonly (readonly [tag: string, routes: AdminRoutes])[] = [
  ['insight', insightRoutes],
  ['accounts', accountRoutes],
  ['accounts', accountActionRoutes],
  ['consent', sessionRoutes],
  ['consent', consentRoutes],
  ['keys', keyRoutes],
  ['sources', sourceRoutes],
  ['events', totalsRoutes],
  ['events', eventRoutes],
  ['dead letters', deadLetterRoutes],
  ['events', explainRoutes],
  ['store', storeRoutes],
  ['store', auditRoutes],
  ['insight', liveRoutes],
  ['console', consoleRoutes],
  ['descriptions', openapiRoutes],
]

const BODY_LIMIT_BYTES = 64 * 1024
/** For a whole request. Fastify has none: bodies that never end would keep their connections, also those of a login. */
const REQUEST_TIMEOUT_MS = 60_000

export async function createAdminApp(options: AdminOptions): Promise<FastifyInstance> {
  const { log, adminToken } = options
  const sessions = createSessions(options.clock.monotonicMs, options.publicUrl().startsWith('https:'))
  const app = Fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: 200 },
    // A path of no route; Fastify's own answer would quote it.
    frameworkErrors: (error, _request, reply) => void sendError(error, reply),
    forceCloseConnections: 'idle',
    // Node's own answer to a request without one has no body: it is refused below.
    http: { requireHostHeader: false },
  })
    .withTypeProvider<AdminTypes>()
    .setValidatorCompiler(compileSchema)
    .setSerializerCompiler<TSchema>(
      ({ schema }) =>
        (record) =>
          JSON.stringify(answerOf(schema, record)),
    )

  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const { status, message } = explain(error)
    if (status >= 500) log.error({ code: codeOf(error) }, 'admin request failed')
    if (status === 429) reply.header('retry-after', GUESS_AGAIN_S)
    if (request.routeOptions.config.takesSession === true && wantsHtml(request)) {
      return sendPage(reply, status, 'That did not work', message)
    }
    return sendError(error, reply)
  })
  app.setNotFoundHandler(() => {
    throw new NotFound()
  })

  const refusals = createRefusals(options)
  const isKnownHost = createHostCheck(options.settings)
  /** Asked again while a stream is followed: a session ends. */
  const isAllowed = ({ headers }: FastifyRequest) => {
    if (isSame(bearerOf(headers.authorization) ?? '', adminToken)) return true
    const sessionKey = headers[SESSION_KEY_HEADER]
    return typeof sessionKey === 'string' && sessions.opens(headers.cookie, sessionKey)
  }

  app.addHook('onRequest', async (request) => {
    const { host, authorization } = request.headers
    if (host === undefined && request.raw.httpVersion === '1.1')
      throw new InvalidRequest('The header Host is missing.')
    if (!isKnownHost(host)) throw new WrongHost()
    const { takesSession, isOpen } = request.routeOptions.config
    if (takesSession === true || isOpen === true || isAllowed(request)) return
    // The key of an ended session is no guess: pages send it until the next login.
    throw refusals.note(Boolean(authorization))
  })
  app.addHook('preValidation', (request, _reply, done) => {
    const { body, routeOptions } = request
    const isKnown = routeOptions.schema?.body !== undefined || isEmpty(body)
    done(isKnown ? undefined : new InvalidRequest('body: must be empty here.'))
  })
  app.addHook('onResponse', (request, reply, done) => {
    const { method, routeOptions } = request
    const { statusCode: status } = reply
    // Changes are logged; a scrape every few seconds is not, nor what is refused: anybody may send that, without end.
    if (method !== 'GET' && (status < 400 || status >= 500)) {
      log.info({ method, route: routeOptions.url, status }, 'admin request answered')
    }
    done()
  })

  auditChanges(app, options)
  await describeRoutes(app, options)

  for (const [tag, routes] of ROUTES) {
    const plugin = async (tagged: Parameters<AdminRoutes>[0]) => {
      tagged.addHook('onRoute', (route) => {
        const querystring = route.schema?.hide === true ? {} : { querystring: Type.Closed({}) }
        route.schema = { ...querystring, ...route.schema, tags: [tag] }
      })
      await routes(tagged, { ...options, sessions, refusals, isAllowed })
    }
    // Of a plugin without a name Fastify searches the cache of all modules for one: a millisecond each.
    await app.register(Object.assign(plugin, { [Symbol.for('fastify.display-name')]: tag }))
  }
  return app
}

/** Nothing is converted: every part of a path or query is declared as text. Compiled at the first request: most are never asked. */
const compileSchema: FastifySchemaCompiler<XSchema> = ({ schema }) => {
  let validator: Validator | undefined
  return (value: unknown) => {
    validator ??= Compile(schema)
    if (validator.Check(value)) return { value }
    const [, error] = validator.Errors(value)
    return { error }
  }
}

/** None, or `{}`, which clients send that always send JSON. */
function isEmpty(body: unknown): boolean {
  if (body === undefined || body === null) return true
  return typeof body === 'object' && !Array.isArray(body) && Object.keys(body).length === 0
}

function sendError(error: FastifyError, reply: FastifyReply): FastifyReply {
  const { status, message } = explain(error)
  // Of input that Fastify refuses the code is no other than of what the routes refuse.
  const isFrameworks = status < 500 && (error.code === undefined || error.code.startsWith('FST_'))
  return reply.code(status).send({ code: isFrameworks ? 'INVALID_REQUEST' : codeOf(error), message })
}

/** A body of unknown keys must not make an answer many times its size. */
const MOST_PLACES = 20

/** Texts of errors that are not the relay's own may quote what was sent; those are not passed on. */
function explain(error: FastifyError): { status: number; message: string } {
  if (error.validation) {
    const specific = error.validation.filter((one) => !isEcho(one))
    const places = (specific.length > 0 ? specific : error.validation).map((one) => {
      return `${one.instancePath.slice(1).replaceAll('/', '.') || 'body'}: ${ruleOf(one)}`
    })
    return { status: 400, message: [...new Set(places)].slice(0, MOST_PLACES).join('; ') }
  }
  const status = error.statusCode ?? 500
  if (status === 413) return { status, message: `The body is over ${BODY_LIMIT_BYTES} bytes.` }
  if (error.code?.startsWith('FST_')) return { status, message: 'The request is malformed.' }
  if (error.statusCode === undefined) return { status, message: 'The relay failed.' }
  return { status, message: error instanceof SyntaxError ? 'The body is not JSON.' : error.message }
}

/** Repeats of the whole what another error says of its place: that a setting is neither null nor what it must be. */
function isEcho({ keyword, params }: FastifySchemaValidationError): boolean {
  return ['anyOf', 'additionalProperties', 'propertyNames'].includes(keyword) || params['type'] === 'null'
}

function ruleOf({ keyword, params, message }: FastifySchemaValidationError): string | undefined {
  if (keyword === 'enum') return `must be one of ${String(params['allowedValues'])}`
  if (keyword === 'boolean') return 'is not known here'
  return ruleOfPattern(params['pattern']) ?? message
}

/**
 * Which names the admin port answers to, beside localhost. A web page may have its own name resolve to this machine (DNS
 * rebinding), so that its scripts can read this port; but the browser still sends that name as Host. An address cannot be
 * rebound, so any is accepted: monitoring finds replicas by theirs.
 */
export function createHostCheck({
  ADMIN_HOST,
  ADMIN_PUBLIC_URL,
  ADMIN_HOSTS,
}: Pick<AdminOptions['settings'], 'ADMIN_HOST' | 'ADMIN_PUBLIC_URL' | 'ADMIN_HOSTS'>): (
  host: string | undefined,
) => boolean {
  const browsers = ADMIN_PUBLIC_URL === undefined ? [] : [new URL(ADMIN_PUBLIC_URL).hostname]
  const names = ['localhost', ADMIN_HOST, ...browsers, ...ADMIN_HOSTS]
  const known = new Set(names.map((name) => name.toLowerCase()))
  return (host) => {
    // HTTP/1.0, which no browser speaks.
    if (host === undefined) return true
    const [, name = ''] = /^(\[[^\]]*\]|[^:]*)(?::\d+)?$/.exec(host.toLowerCase()) ?? []
    return known.has(name) || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0
  }
}
