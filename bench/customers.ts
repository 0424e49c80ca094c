/**
 * Customers of a shop in the United States, each with a name and an address of their own: drawn by a seeded generator, so that
 * every run has the same ones. A city of rank n has 1/n as many as the largest, so that the relay's cache of places
 * (normalize/field.ts) finds what it would find in a shop: the states and the large cities.
 */
export interface Customer {
  /** Seven digits. */
  readonly number: number
  readonly first: string
  readonly last: string
  readonly phone: string
  readonly birthday: { readonly year: number; readonly month: string; readonly day: string }
  readonly isFemale: boolean
  readonly city: string
  readonly state: readonly [name: string, code: string]
  readonly postcode: string
}

const CITIES = 10_000
const POSTCODES = 30_000
const FIRST = ['José', 'Jane', 'Mary', 'Linda', 'Renée', 'James', 'Robert', 'Ana-María', 'Emily', 'David']
const BEGIN = ['Ash', 'Brook', 'Clay', 'Dun', 'Ever', 'Glen', 'Hart', 'Kings', 'Lin', 'Mil', 'Nor', 'Oak']
const MIDDLE = ['ing', 'er', 'an', 'el', 'is', 'on', 'in', 'ber', 'der', 'mar', 'wel', 'sen', 'tor', 'ven']
const END = ['ton', 'ville', 'field', 'wood', 'ford', 'burg', 'dale', 'port', 'land', 'more', 'ham', 'ley']
const BEFORE_CITY = ['', '', '', 'San ', 'St. ', 'New ', 'Fort ']
const BEFORE_NAME = ['', '', '', '', 'O’', 'Mc', 'De ']
const STATES = [
  ['California', 'CA'],
  ['Texas', 'TX'],
  ['Florida', 'FL'],
  ['New York', 'NY'],
  ['Pennsylvania', 'PA'],
  ['Illinois', 'IL'],
  ['Ohio', 'OH'],
  ['Georgia', 'GA'],
  ['North Carolina', 'NC'],
  ['Michigan', 'MI'],
  ['New Jersey', 'NJ'],
  ['Virginia', 'VA'],
  ['Washington', 'WA'],
  ['Arizona', 'AZ'],
  ['Tennessee', 'TN'],
  ['Massachusetts', 'MA'],
  ['Indiana', 'IN'],
  ['Missouri', 'MO'],
  ['Maryland', 'MD'],
  ['Wisconsin', 'WI'],
] as const

export function createCustomers(seed: number): () => Customer {
  const random = createRandom(seed)
  const below = (count: number) => Math.floor(random() * count)
  const pick = <Item>(items: readonly Item[]): Item => items[below(items.length)]!
  return () => {
    // Uniform in the logarithm of the rank: as many customers as its reciprocal.
    const city = Math.floor(CITIES ** random())
    return {
      number: 1_000_000 + below(9_000_000),
      first: pick(FIRST),
      last: `${pick(BEFORE_NAME)}${pick(BEGIN)}${pick(MIDDLE)}${pick(END)}`,
      phone: `(415) 555-${1000 + below(9000)}`,
      birthday: { year: 1940 + below(65), month: twoDigits(1 + below(12)), day: twoDigits(1 + below(28)) },
      isFemale: random() < 0.5,
      city: nameCity(city),
      state: STATES[city % STATES.length]!,
      postcode: String(10_000 + below(POSTCODES)),
    }
  }
}

/** Each rank has a name of its own. */
function nameCity(rank: number): string {
  const parts = [BEFORE_CITY, BEGIN, MIDDLE, END].map((words) => {
    const word = words[rank % words.length]!
    rank = Math.floor(rank / words.length)
    return word
  })
  return parts.join('')
}

const twoDigits = (number: number) => String(number).padStart(2, '0')

/** A linear congruential generator (Numerical Recipes): numbers in [0, 1). */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
