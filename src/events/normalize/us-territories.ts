/** Territories with a country code of their own that use ZIP codes and are listed among the states. */
const TERRITORIES: ReadonlySet<string> = new Set(['pr', 'gu', 'vi', 'as', 'mp'])

export function usesUsZip(country: string): boolean {
  return country === 'us' || TERRITORIES.has(country)
}
