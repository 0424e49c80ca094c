/** One pair of quotes around a value, as CSV exports and careless JSON leave it there. */
export function withoutQuotes(text: string): string {
  return QUOTED.exec(text)?.[1]?.trim() ?? text
}

const QUOTED = /^["'`“”„‘’‚«»](.*)["'`“”„‘’«»]$/s
