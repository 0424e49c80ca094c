/** What tests call their account, and the secrets that it has. A module of its own: importing the relay takes half a second. */
export const ACCOUNT = '549755885175'
export const TOKEN = 'pina_TESTTOKEN_0123456789abcdef'
/** Enough for the WAL of a test. The default would write some gigabytes in a run of all tests. */
export const RESERVED_BYTES = String(4 * 1024 * 1024)
export const ADMIN_TOKEN = 'admin-token-of-the-tests'
