/** The vault's sources: shops whose webhooks are taken, and what they are signed with. */
import type { OpenRecords } from './open-records.ts'
import type { Source } from './records.ts'

interface SourceChange extends Pick<Source, 'sourceId' | 'adAccountId' | 'label' | 'bots' | 'options'> {
  /** Replaces the one in use, which stays valid; undefined: the one in use stays. */
  readonly secret: string | undefined
  readonly dropsPreviousSecret: boolean
}

export function keepSources({ state, change, edit }: OpenRecords, now: () => number) {
  return {
    source: (sourceId: string) => state().source.get(sourceId)?.source,
    sources: () => Array.from(state().source.values(), ({ source }) => source),
    /** The current one first. Never log, answer or store them. */
    secretsOf: (sourceId: string) => state().source.get(sourceId)?.secrets,
    /** Registers a source or replaces its settings; its secret, too, if one is given. */
    putSource: ({ secret, dropsPreviousSecret, ...settings }: SourceChange) =>
      change<'added' | 'replaced' | 'secret_missing'>(() => {
        const before = state().source.get(settings.sourceId)
        const known = before?.secrets ?? []
        const isNew = secret !== undefined && secret !== known[0]
        const all = isNew ? [secret, ...known] : known
        const secrets = all.slice(0, dropsPreviousSecret ? 1 : 2)
        if (secrets.length === 0) return [[], 'secret_missing']
        const source: Source = {
          ...settings,
          secretSetAtMs: isNew || before === undefined ? now() : before.source.secretSetAtMs,
          hasPreviousSecret: secrets.length > 1,
          createdAtMs: before?.source.createdAtMs ?? now(),
        }
        const entry = ['source', source.sourceId, { source, secrets }] as const
        return [[entry], before === undefined ? 'added' : 'replaced']
      }),
    deleteSource: (sourceId: string) => edit('source', sourceId, () => [['source', sourceId, undefined]]),
  }
}
