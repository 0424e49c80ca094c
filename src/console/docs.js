/** The reference of both ports, drawn from their OpenAPI documents: the same that other tools read. */
import { fill, h } from './dom.js'
import { isLoggedIn, readDocument } from './session.js'

/** @typedef {Record<string, any>} Json */

const DOCUMENTS = ['/openapi/public.json', '/openapi.json']

const top = /** @type {HTMLElement} */ (document.getElementById('top'))
const main = /** @type {HTMLElement} */ (document.getElementById('main'))

async function show() {
  fill(
    top,
    h(
      'a.brand',
      { href: '/' },
      h('img', { src: '/console/icon.svg', alt: '', width: 24, height: 24 }),
      'Pinrelay',
    ),
  )
  const documents = await Promise.all(DOCUMENTS.map((path) => readDocument(path)))
  const known = documents.filter((document) => document !== undefined)
  const find = /** @type {HTMLInputElement} */ (h('input', { id: 'find', type: 'search', oninput: filter }))
  fill(
    main,
    h('h1', {}, 'API'),
    documents.includes(undefined) && showMissing(known.length),
    known.length > 0 && h('p.field', {}, h('label', { for: 'find' }, 'Find'), find),
    ...known.map(showDocument),
  )
  // The element of an address's fragment is there only now.
  if (location.hash !== '')
    document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView()

  function filter() {
    const wanted = find.value.trim().toLowerCase()
    for (const one of main.querySelectorAll('details.operation')) {
      ;/** @type {HTMLElement} */ (one).hidden = !(one.textContent ?? '').toLowerCase().includes(wanted)
    }
  }
}

/** @param {number} known */
function showMissing(known) {
  if (isLoggedIn()) return h('p.problem', {}, 'The relay does not answer.')
  const login = h('a', { href: '/' }, 'Log in')
  return known === 0
    ? h('p', {}, login, ' first: the descriptions need the admin token, unless DOCS_OPEN is set.')
    : h('p.quiet', {}, login, ' for the description of the admin port.')
}

/** @param {Json} document */
function showDocument(document) {
  const { info, servers = [], components = {} } = document
  const operations = Object.entries(document['paths']).flatMap(([path, methods]) =>
    Object.entries(/** @type {Json} */ (methods)).map(([method, operation]) =>
      showOperation(`${method.toUpperCase()} ${path}`, operation, components),
    ),
  )
  const [server] = servers
  return h(
    'section',
    { 'aria-label': info.title },
    h('h2', {}, info.title),
    h('p', {}, ...withCode(info.description)),
    server &&
      h('p', {}, `${server.description} By default `, h('code', {}, server.variables.origin.default), '.'),
    ...operations,
  )
}

/** @param {string} name @param {Json} operation @param {Json} components */
function showOperation(
  name,
  { operationId: id, summary, description, security, parameters = [], requestBody, responses },
  components,
) {
  return h(
    'details.operation.card',
    { id },
    h('summary', {}, h('code', {}, name), ` ${summary}`),
    description && h('p', {}, ...withCode(description)),
    h('p.quiet', {}, `Operation ${id}.${security?.length === 0 ? ' Without a token.' : ''}`),
    parameters.length > 0 && h('h3', {}, 'Parameters'),
    parameters.length > 0 &&
      h(
        'ul',
        {},
        ...parameters.map(
          (/** @type {Json} */ { name: parameter, in: place, required, schema, description: about }) =>
            h(
              'li',
              {},
              h('code', {}, parameter),
              ` (${place}${required ? '' : ', optional'}): ${typeOf(schema, components)}`,
              ...sentence(about),
            ),
        ),
      ),
    requestBody && h('h3', {}, 'Body'),
    requestBody && showContent(requestBody.content, components),
    h('h3', {}, 'Answers'),
    ...Object.entries(responses).map(([status, answer]) => showAnswer(status, answer, components)),
  )
}

/** @param {string} status @param {Json} answer @param {Json} components */
function showAnswer(status, { description, content }, components) {
  const about = description === 'Default Response' ? '' : description
  return h(
    'div',
    {},
    h('p', {}, h('b', {}, status), ' ', ...withCode(about ?? '')),
    content && showContent(content, components),
  )
}

/** @param {Json} content @param {Json} components */
function showContent(content, components) {
  const [{ schema, example }] = /** @type {[Json]} */ (Object.values(content))
  const seen = resolve(schema, components)
  const shown = example ?? seen['examples']?.[0]
  return h(
    'div',
    {},
    showFields(seen, components),
    shown && h('pre', { tabindex: 0 }, JSON.stringify(shown, undefined, 2)),
  )
}

/** A nested list of an object's fields; nothing for other values. @param {Json} schema @param {Json} components @returns {HTMLElement} */
function showFields(schema, components) {
  const object = objectIn(schema, components)
  if (object?.['properties'] === undefined) return h('p', {}, typeOf(schema, components))
  const required = object['required'] ?? []
  return h(
    'ul',
    {},
    ...Object.entries(object['properties']).map(([name, property]) => {
      const seen = resolve(/** @type {Json} */ (property), components)
      return h(
        'li',
        {},
        h('code', {}, name),
        `${required.includes(name) ? '' : ' (optional)'}: ${typeOf(seen, components)}`,
        ...sentence(seen['description']),
        objectIn(seen, components)?.['properties'] && showFields(seen, components),
      )
    }),
  )
}

/** @param {Json} schema @param {Json} components @returns {Json} */
function resolve(schema, { schemas = {} }) {
  return schema['$ref'] === undefined ? schema : (schemas[schema['$ref'].split('/').at(-1)] ?? {})
}

/** The object that a schema is, holds a list of, or may be null instead of. @param {Json} schema @param {Json} components @returns {Json | undefined} */
function objectIn(schema, components) {
  const seen = resolve(schema, components)
  if (seen['properties'] !== undefined) return seen
  const inner = [seen['items'], ...(seen['anyOf'] ?? []), ...(seen['oneOf'] ?? [])].filter(Boolean)
  return inner.map((one) => objectIn(one, components)).find(Boolean)
}

/** @param {Json} schema @param {Json} components @returns {string} */
function typeOf(schema, components) {
  const { type, enum: values, const: only, anyOf, oneOf, items, pattern } = resolve(schema, components)
  if (values) return values.join(' | ')
  if (only !== undefined) return String(only)
  const choices = anyOf ?? oneOf
  if (choices) {
    const words = choices.map(
      (/** @type {Json} */ one) => one['required']?.join(' and ') ?? typeOf(one, components),
    )
    return `${type === 'object' ? 'object with ' : ''}${words.join(' or ')}`
  }
  if (items) return `list of ${typeOf(items, components)}`
  return `${type ?? 'anything'}${pattern ? ` like ${pattern}` : ''}`
}

/** @param {string | undefined} text */
function sentence(text) {
  return text === undefined ? [] : ['. ', ...withCode(text)]
}

/** What is between backticks as code. @param {string} text */
function withCode(text) {
  return text.split('`').map((part, nth) => (nth % 2 === 1 ? h('code', {}, part) : part))
}

void show()
