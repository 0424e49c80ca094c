/** Elements from values. Text always becomes a text node: nothing that came from outside is ever read as markup. */

import { time } from './format.js'

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Properties */

/**
 * @param {string} tag with classes behind dots: `td.number`
 * @param {Properties} [properties] attributes; `onclick` and the like are listeners, `value` and `checked` are set as such
 * @param {...(Child | Child[])} children
 * @returns {HTMLElement}
 */
export function h(tag, properties = {}, ...children) {
  const [name = 'div', ...classes] = tag.split('.')
  const element = document.createElement(name)
  if (classes.length > 0) element.className = classes.join(' ')
  setProperties(element, properties)
  element.append(...nodesOf(children))
  return element
}

/** @param {string} tag @param {Properties} properties @param {...(Child | Child[])} children */
export function svg(tag, properties, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  setProperties(element, properties)
  element.append(...nodesOf(children))
  return element
}

/** @param {Element} parent @param {...(Child | Child[])} children */
export function fill(parent, ...children) {
  parent.replaceChildren(...nodesOf(children))
}

/** Leaves the node alone where nothing changed, so that selections and focus stay. @param {Node} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

/** For those who do not see what changed. @param {string} text */
export function speak(text) {
  setText(/** @type {Node} */ (document.getElementById('spoken')), text)
}

/** @param {Element} element @param {Properties} properties */
function setProperties(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value)
    else if (name === 'value' || name === 'checked' || name === 'disabled')
      Object.assign(element, { [name]: value })
    else if (value === true) element.setAttribute(name, '')
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, String(value))
  }
}

/** @param {(Child | Child[])[]} children @returns {(Node | string)[]} */
function nodesOf(children) {
  return children.flat().flatMap((child) => {
    if (child === null || child === undefined || child === false) return []
    return [typeof child === 'number' ? String(child) : child]
  })
}

/**
 * Rows that live on while their data changes: found by key, updated in place, in the order of the items.
 * @template Item
 * @param {Element} parent
 * @param {(item: Item) => string} keyOf
 * @param {(item: Item) => { element: Element, update: (item: Item) => void }} make
 */
export function keyedRows(parent, keyOf, make) {
  /** @type {Map<string, { element: Element, update: (item: Item) => void }>} */
  const rows = new Map()
  return (/** @type {readonly Item[]} */ items) => {
    const keys = new Set(items.map(keyOf))
    for (const [key, { element }] of rows) {
      if (keys.has(key)) continue
      element.remove()
      rows.delete(key)
    }
    items.forEach((item, place) => {
      const key = keyOf(item)
      let row = rows.get(key)
      if (row === undefined) rows.set(key, (row = make(item)))
      row.update(item)
      // Moving a row takes the focus out of it: only those move that are elsewhere.
      if (parent.children[place] !== row.element)
        parent.insertBefore(row.element, parent.children[place] ?? null)
    })
  }
}

/**
 * A table that a narrow screen shows as cards: roles are named, since a changed `display` takes them away.
 * @param {string} caption @param {readonly string[]} heads @param {Element} body
 */
export function table(caption, heads, body) {
  body.setAttribute('role', 'rowgroup')
  return h(
    'table',
    { role: 'table' },
    h('caption.unseen', {}, caption),
    h(
      'thead',
      { role: 'rowgroup' },
      h('tr', { role: 'row' }, ...heads.map((head) => h('th', { role: 'columnheader', scope: 'col' }, head))),
    ),
    body,
  )
}

/** @param {...HTMLElement} cells */
export const row = (...cells) => h('tr', { role: 'row' }, ...cells)

/** @param {string} head what the column is called, for cards @param {...Child} children */
export const cell = (head, ...children) => h('td', { role: 'cell', 'data-head': head }, ...children)

/** A name or another word of usual length, which a table does not break. @param {string} text */
export const word = (text) => h('span.word', {}, text)

/** @param {string} at ISO 8601 */
export const timeOf = (at) => h('time', { datetime: at }, time(at))

/** Terms and what each is; of some there is nothing to say. @param {readonly ([string, Child] | Child)[]} facts */
export const factList = (facts) =>
  h(
    'dl',
    {},
    ...facts.map((fact) => Array.isArray(fact) && h('div', {}, h('dt', {}, fact[0]), h('dd', {}, fact[1]))),
  )

/** A field of a form that filters. @param {string} name @param {string} label @param {HTMLElement} input */
const filterItem = (name, label, input) =>
  h('p.field', {}, h('label', { for: `filter-${name}` }, label), input)

/** @param {string} name @param {string} label @param {string | null} value @param {number} [size] */
export const filterField = (name, label, value, size = 14) =>
  filterItem(name, label, h('input', { id: `filter-${name}`, name, size, value: value ?? '' }))

/** @param {string} name @param {string} label @param {string | null} value @param {(readonly [string, string])[]} options */
export const filterChoice = (name, label, value, options) =>
  filterItem(
    name,
    label,
    h(
      'select',
      { id: `filter-${name}`, name },
      ...options.map(([own, text]) => h('option', { value: own, selected: own === value }, text)),
    ),
  )

/** Live or test events. @param {string | null} value */
export const filterQueue = (value) =>
  filterChoice('test', 'Queue', value, [
    ['', 'both'],
    ['false', 'live'],
    ['true', 'test'],
  ])
