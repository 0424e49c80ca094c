/** The fields of `user_data` by what is sent of them. */
import { FIELDS, type UserDataField } from '../../src/events/normalize/field.ts'

/** Those of which hashes are sent. */
type HashedField = Exclude<
  UserDataField,
  'client_ip_address' | 'client_user_agent' | 'partner_id' | 'click_id'
>

const names = Object.keys(FIELDS) as readonly UserDataField[]
const isHashed = (name: UserDataField): name is HashedField => FIELDS[name].isHashed
export const HASHED_FIELD_NAMES = names.filter(isHashed)
export const TEXT_FIELD_NAMES = names.filter((name) => !isHashed(name))
