/** What a queue's status means, how bad it is, and what mends it. */

/**
 * @typedef {object} Remedy
 * @property {'good' | 'waits' | 'stands'} state `stands`: nothing goes on without a person
 * @property {string} means
 * @property {'resume' | 'token' | 'consent' | 'verify' | undefined} [action]
 */

/** @type {Readonly<Record<string, Remedy>>} */
const REMEDIES = {
  open: { state: 'good', means: 'Calls leave.' },
  paused: { state: 'stands', means: 'Paused by an operator. Posts are still taken.', action: 'resume' },
  failing: { state: 'waits', means: 'Pinterest does not answer. The relay tries again with growing pauses.' },
  outage: {
    state: 'waits',
    means: 'Pinterest says that it is down. One trial call leaves after each pause.',
  },
  rate_limited: { state: 'waits', means: 'Pinterest said 429. The queue waits as long as it asked for.' },
  unauthorized: { state: 'stands', means: 'Pinterest does not know the token.', action: 'token' },
  forbidden: { state: 'stands', means: 'The token may not send for this account.', action: 'token' },
  reauthorize: { state: 'stands', means: 'The token and its grant are refused.', action: 'consent' },
  wrong_address: {
    state: 'stands',
    means: 'The address answers as something else than Pinterest: see PINTEREST_API_URL.',
    action: 'verify',
  },
}

/** @param {string} status @returns {Remedy} */
export function remedyOf(status) {
  return REMEDIES[status] ?? { state: 'waits', means: status }
}
