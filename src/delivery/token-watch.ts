/** Who wants to know how Pinterest took an account's token. */
export interface TokenWatch {
  accepted(adAccountId: string): void
  refused(adAccountId: string, refusal: TokenRefusal): void
  /** A new token may come at any moment: a hold for the old one says little. */
  isReplacing(adAccountId: string): boolean
}

export interface TokenRefusal {
  /** The one that was refused. */
  readonly token: string
  /** 401: it is not good any more; 403: not for this account. */
  readonly status: 401 | 403
  /** Scrubbed. */
  readonly reason: string
}
