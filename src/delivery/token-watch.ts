/** Who wants to know how Pinterest took an account's token. */
export interface TokenWatch {
  accepted(adAccountId: string): void
  refused(adAccountId: string, refusal: TokenRefusal): void
}

export interface TokenRefusal {
  /** The one that was refused. */
  readonly token: string
  /** 401: it is not good any more; 403: not for this account. */
  readonly status: 401 | 403
  /** Scrubbed. */
  readonly reason: string
}
