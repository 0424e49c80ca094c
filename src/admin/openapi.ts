/**
 * `GET /openapi.json` describes this port, from the schemas that its routes validate with; `GET /openapi/public.json`
 * the public one. A route appears by being registered after `describeRoutes`.
 */
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { Type } from '../type.ts'
import { describePublicPort, serverAt } from '../ingest/describe.ts'
import { ErrorAnswer } from './answers.ts'
import type { AdminOptions, AdminRoutes } from './options.ts'
import { SESSION_COOKIE, SESSION_KEY_HEADER } from './session.ts'

const ABOUT = `For the people and machines that operate the relay. Every request carries the admin token as a bearer token (or a
browser's session and its key). Answers never hold a token or a stored key. A refusal is \`{code, message}\`: the code is the
contract, the message is for people and names fields, never their values.`

export async function describeRoutes(
  app: FastifyInstance,
  { version }: Pick<AdminOptions, 'version'>,
): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Pinrelay, admin port', version, description: ABOUT },
      servers: [serverAt('http://127.0.0.1:8081', 'Where operators reach the admin port.')],
      components: {
        securitySchemes: {
          adminToken: { type: 'http', scheme: 'bearer' },
          session: { type: 'apiKey', in: 'cookie', name: SESSION_COOKIE },
          sessionKey: { type: 'apiKey', in: 'header', name: SESSION_KEY_HEADER },
        },
      },
      security: [{ adminToken: [] }, { session: [], sessionKey: [] }],
    },
    transform({ schema, url, route }) {
      const isOpen = route.config?.isOpen === true || route.config?.takesSession === true
      return {
        url,
        schema: {
          operationId: operationIdOf(String(route.method), url),
          ...schema,
          ...(isOpen ? { security: [] } : {}),
          response: { ...(schema.response as object), '4XX': ErrorAnswer },
        },
      }
    },
  })
}

/** `PUT /accounts/:id` is `putAccountsById`. */
function operationIdOf(method: string, url: string): string {
  const words = url.replaceAll(':', 'by_').split(/[/._-]/)
  const capitals = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1))
  return method.toLowerCase() + capitals.join('')
}

const Document = Type.Record(Type.String(), Type.Unknown(), { description: 'An OpenAPI document.' })

export const openapiRoutes: AdminRoutes = async (app, { version, settings }) => {
  const own = { summary: 'This description', response: { 200: Document } }
  app.get('/openapi.json', { schema: own }, async () => app.swagger() as unknown as Record<string, unknown>)

  const publicPort = {
    summary: 'The description of the public port; without the admin token when DOCS_OPEN=true',
    response: { 200: Document },
  }
  app.get('/openapi/public.json', { config: { isOpen: settings.DOCS_OPEN }, schema: publicPort }, async () =>
    describePublicPort(version),
  )
}
