/** Whether an id looks like a customer's address, number or page: then it is kept nowhere in the clear. */
import { MAX_EVENT_ID_LENGTH } from './schema.ts'

const EMAIL = /\S(?:@|%40)\S/i
const PHONE = /\+\d[\d ()./-]{5,}\d|\(\d{2,5}\)|^\d[\d./-]*(?: [\d./-]+)+$/
const ADDRESS = /\d{1,3}(?:\.\d{1,3}){3}|(?:[0-9a-f]{0,4}:){3,}/i
/** Nearly all ids: of none of these shapes. */
const PLAIN = /^[\w#-]{0,100}$/
/** With its query, which may say who clicked. */
const URL_OF_PAGE = /:\/\//
/** What the shape of an id says alone. */
export function looksPersonal(id: string): boolean {
  if (PLAIN.test(id)) return false
  return (
    id.length > MAX_EVENT_ID_LENGTH || [EMAIL, PHONE, ADDRESS, URL_OF_PAGE].some((shape) => shape.test(id))
  )
}
