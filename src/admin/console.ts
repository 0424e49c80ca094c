/**
 * Serves the console and the reference of the API (`/docs`): the files of `src/console/`, unchanged. They need no
 * login; what they show comes from the other routes. The policy lets a browser load from here and nowhere else.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { extname } from 'node:path'
import type { FastifyReply } from 'fastify'
import type { AdminRoutes } from './options.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  // Asked again each time: after an upgrade no browser mixes old scripts with new answers.
  'cache-control': 'no-cache',
}

export const consoleRoutes: AdminRoutes = async (app) => {
  const files = readFiles()
  const open = { config: { isOpen: true }, schema: { hide: true } } as const

  const send = (reply: FastifyReply, name: string) => {
    const file = files.get(name)
    if (file === undefined) return reply.callNotFound()
    return reply.headers(HEADERS).type(file.type).send(file.content)
  }
  app.get('/', open, async (_request, reply) => send(reply, 'index.html'))
  app.get('/docs', open, async (_request, reply) => send(reply, 'docs.html'))
  app.get<{ Params: { file: string } }>('/console/:file', open, async (request, reply) =>
    send(reply, request.params.file),
  )
}

/** All at the start, by name: no path of a request reaches the disk. */
function readFiles() {
  const folder = new URL('../console/', import.meta.url)
  const names = readdirSync(folder).filter((name) => extname(name) in TYPES)
  const own = names.map((name) => [name, new URL(name, folder)] as const)
  const library = import.meta.resolve('uplot')
  const plots = [
    ['uplot.js', new URL('uPlot.esm.js', library)],
    ['uplot.css', new URL('uPlot.min.css', library)],
  ] as const
  return new Map(
    [...own, ...plots].map(([name, url]) => [
      name,
      { type: TYPES[extname(name)]!, content: readFileSync(url) },
    ]),
  )
}
