/**
 * Says why a body does not fit its schema, in the words of Pinterest's own validator (Python's jsonschema, to judge by
 * the texts seen live). Like that one it repeats the value at fault, so that whoever shows or stores such a text has to
 * scrub it first.
 */
import type { Validator } from 'typebox/schema'

/** The first problem of a value that the validator refused. */
export function describeRefusal(validator: Pick<Validator, 'Errors'>, value: unknown): string {
  const [, errors] = validator.Errors(value)
  const unexpected = errors
    .filter(({ keyword }) => keyword === 'boolean')
    .map(({ instancePath }) => readPath(instancePath).at(-1) ?? '')
  if (unexpected.length > 0) {
    const names = unexpected.map((name) => `'${name}'`).join(', ')
    return `Additional properties are not allowed (${names} ${unexpected.length === 1 ? 'was' : 'were'} unexpected)`
  }
  // The branches of an anyOf come before the anyOf itself, which is what the text is about.
  const error = errors.find(({ keyword }) => keyword === 'anyOf') ?? errors[0]
  if (error === undefined) return 'The request was invalid.'
  const culprit = showValue(readPath(error.instancePath).reduce(readKey, value))
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the schemas use few of the keywords
  switch (error.keyword) {
    case 'required':
      return `'${error.params.requiredProperties[0]}' is a required property`
    case 'type': {
      const types = [error.params.type].flat().map((type) => `'${type}'`)
      return `${culprit} is not of type ${types.join(', ')}`
    }
    case 'enum':
      return `${culprit} is not one of ${showValue(error.params.allowedValues)}`
    case 'anyOf':
      return `${culprit} is not valid under any of the given schemas`
    case 'minimum':
      return `${culprit} is less than the minimum of ${error.params.limit}`
    case 'maximum':
      return `${culprit} is greater than the maximum of ${error.params.limit}`
    case 'minItems':
    case 'minLength':
      return `${culprit} is too short`
    case 'maxItems':
    case 'maxLength':
      return `${culprit} is too long`
    default:
      return `${culprit} ${error.message}`
  }
}

const LONGEST_VALUE = 200

/** Like Python's `repr`, cut short. */
function showValue(value: unknown): string {
  const text = JSON.stringify(value) ?? 'None'
  const shown = text
    .replaceAll("'", String.raw`\'`)
    .replaceAll('"', "'")
    .replaceAll(/\bnull\b/g, 'None')
  return shown.length <= LONGEST_VALUE ? shown : `${shown.slice(0, LONGEST_VALUE)}…`
}

function readPath(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function readKey(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
}
