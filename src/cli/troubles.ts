/** What of the accounts is not as it should be, and what mends it. What needs a person stands first. */
export interface WatchedAccount {
  readonly ad_account_id: string
  readonly label: string
  readonly paused: boolean
  readonly over_share: boolean
  readonly token: {
    readonly kind: string
    readonly last_failure: { readonly at: string; readonly reason: string } | null
  }
  readonly grant: { readonly status: string } | null
  readonly queues: readonly {
    readonly test: boolean
    readonly status: string
    readonly next_try_in_seconds: number | null
  }[]
}

export interface Trouble {
  readonly account: WatchedAccount
  /** Undefined: of the account as a whole. */
  readonly queue: 'live' | 'test' | undefined
  readonly status: string
  readonly nextTryInSeconds: number | null
  /** Undefined: it goes on by itself. */
  readonly remedy: string | undefined
}

const REMEDIES: Readonly<Record<string, string>> = {
  over_share:
    'its posts get 503 until its queue drains: mend its queues (account verify, set, resume), or raise STORE_LIMIT_BYTES',
  paused: 'account resume',
  reauthorize: 'open /accounts/{id}/authorize of the admin port in a browser, and consent',
  no_token: 'consent at /accounts/{id}/authorize of the admin port, or account set gives a token',
  unauthorized: 'account verify tells why; account set takes a new token',
  forbidden: 'the token may not send for this account: account set takes another',
  wrong_address: 'PINTEREST_API_URL of the relay is wrong',
}

export function findTroubles(accounts: readonly WatchedAccount[]): readonly Trouble[] {
  const troubles = accounts.flatMap(troublesOf)
  return [
    ...troubles.filter(({ remedy }) => remedy !== undefined),
    ...troubles.filter(({ remedy }) => remedy === undefined),
  ]
}

function troublesOf(account: WatchedAccount): Trouble[] {
  const ofQueues = account.queues
    .filter(({ status }) => status !== 'open')
    .map(({ test, status, next_try_in_seconds: nextTryInSeconds }) => ({
      account,
      queue: test ? ('test' as const) : ('live' as const),
      status,
      nextTryInSeconds,
      remedy: REMEDIES[status],
    }))
  const told = new Set(ofQueues.map(({ status }) => status))
  const ofAccount = wordsFor(account)
    .filter((status) => !told.has(status))
    .map((status) => ({
      account,
      queue: undefined,
      status,
      nextTryInSeconds: null,
      remedy: REMEDIES[status],
    }))
  return [...ofAccount, ...ofQueues]
}

/** An account that has not sent anything since the start has no queue to tell it. */
function wordsFor({ paused, over_share: isOverShare, token, grant }: WatchedAccount): string[] {
  return [
    ...(isOverShare ? ['over_share'] : []),
    ...(paused ? ['paused'] : []),
    ...(token.kind === 'none' ? ['no_token'] : []),
    ...(grant?.status === 'reauthorize' ? ['reauthorize'] : []),
  ]
}
