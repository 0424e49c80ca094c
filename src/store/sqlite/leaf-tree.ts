/**
 * Table trees made anew over the leaves that are there, for when the pages above them are broken: then SQLite finds the
 * leaves again. Which table a leaf belongs to is told by the number of columns of its first row. Leaves without a use
 * still look like leaves, with rows that are gone or elsewhere: trees in which ids would stand twice are separate ones.
 * See https://www.sqlite.org/fileformat2.html#b_tree_pages.
 */
export interface Leaf {
  readonly pageNumber: number
  readonly columns: number
  readonly firstId: number
  readonly lastId: number
}

const TABLE_LEAF = 0x0d
const TABLE_INTERIOR = 0x05
const LEAF_HEADER_BYTES = 8
const INTERIOR_HEADER_BYTES = 12
const CELL_BYTES = 12
/** More would fit: a child takes its cell and two bytes that point to it. */
const MAX_CHILDREN = 250
/** Of leaves that hold the same ids one is in use, and few others were. */
const MAX_LAYERS = 8

/** Undefined for any other page. */
export function readLeaf(page: Buffer, pageNumber: number): Leaf | undefined {
  const cells = page[0] === TABLE_LEAF ? page.readUInt16BE(3) : 0
  if (cells === 0 || LEAF_HEADER_BYTES + 2 * cells > page.length) return undefined
  const first = readCell(page, 0)
  return { pageNumber, columns: first.columns, firstId: first.id, lastId: readCell(page, cells - 1).id }
}

/** Each list in the order of its ids, none of them twice. */
export function toLayers(leaves: readonly Leaf[]): Leaf[][] {
  const layers: Leaf[][] = []
  for (const leaf of leaves.toSorted((a, b) => a.lastId - b.lastId)) {
    if (leaf.firstId > leaf.lastId) continue
    const layer = layers.find((others) => others.at(-1)!.lastId < leaf.firstId)
    if (layer !== undefined) layer.push(leaf)
    else if (layers.length < MAX_LAYERS) layers.push([leaf])
  }
  return layers
}

/** Adds the pages of a tree, from this page number on; answers its root's. The leaves are not empty. */
export function addTree(
  pages: Map<number, Uint8Array>,
  leaves: readonly Leaf[],
  fromPage: number,
  pageBytes: number,
): number {
  let children: readonly Pick<Leaf, 'pageNumber' | 'lastId'>[] = leaves
  let pageNumber = fromPage
  while (children.length > 1) {
    const parents = []
    // Of even size: SQLite takes no page for whole that has one child only.
    const size = Math.ceil(children.length / Math.ceil(children.length / MAX_CHILDREN))
    for (let from = 0; from < children.length; from += size) {
      const own = children.slice(from, from + size)
      pages.set(pageNumber, packInterior(own, pageBytes))
      parents.push({ pageNumber, lastId: own.at(-1)!.lastId })
      pageNumber += 1
    }
    children = parents
  }
  return children[0]!.pageNumber
}

function packInterior(children: readonly Pick<Leaf, 'pageNumber' | 'lastId'>[], pageBytes: number): Buffer {
  const page = Buffer.alloc(pageBytes)
  const cells = children.length - 1
  page[0] = TABLE_INTERIOR
  page.writeUInt16BE(cells, 3)
  page.writeUInt16BE(pageBytes - CELL_BYTES * cells, 5)
  page.writeUInt32BE(children[cells]!.pageNumber, 8)
  for (const [index, { pageNumber, lastId }] of children.slice(0, cells).entries()) {
    const at = pageBytes - CELL_BYTES * (index + 1)
    page.writeUInt16BE(at, INTERIOR_HEADER_BYTES + 2 * index)
    page.writeUInt32BE(pageNumber, at)
    // Eight groups of seven bits, the last one first.
    let rest = lastId
    for (let group = 7; group >= 0; group--) {
      page[at + 4 + group] = (rest % 128) | (group < 7 ? 0x80 : 0)
      rest = Math.floor(rest / 128)
    }
  }
  return page
}

function readCell(page: Buffer, index: number): { readonly id: number; readonly columns: number } {
  let at = page.readUInt16BE(LEAF_HEADER_BYTES + 2 * index)
  const readVarint = () => {
    let value = 0
    for (let count = 0; count < 8; count++) {
      const byte = page[at++] ?? 0
      value = value * 128 + (byte & 0x7f)
      if (byte < 0x80) break
    }
    return value
  }
  readVarint()
  const id = readVarint()
  const end = at + readVarint()
  // Every column has a type, which ends with the byte that has no high bit.
  return { id, columns: page.subarray(at, end).filter((byte) => byte < 0x80).length }
}
