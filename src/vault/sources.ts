/** The vault's sources: shops whose webhooks are taken, and what they are signed with. */
import type { Change, Source, VaultState } from './records.ts'
import type { OpenRecords } from './vault.ts'

export interface Sources {
  source(sourceId: string): Source | undefined
  sources(): readonly Source[]
  /** The current one first. Never log, answer or store them. */
  secretsOf(sourceId: string): readonly string[] | undefined
  /** Registers a source or replaces its settings; its secret, too, if one is given. */
  putSource(change: SourceChange): Promise<'added' | 'replaced' | 'secret_missing'>
  deleteSource(sourceId: string): Promise<boolean>
}

export interface SourceChange extends Pick<
  Source,
  'sourceId' | 'adAccountId' | 'label' | 'bots' | 'options'
> {
  /** Replaces the one in use, which stays valid; undefined: the one in use stays. */
  readonly secret: string | undefined
  readonly dropsPreviousSecret: boolean
}

type Options = Pick<OpenRecords, 'state' | 'change' | 'remove'> & { readonly now: () => number }

export function createSources({ state, change, remove, now }: Options): Sources {
  return {
    source: (sourceId) => state().source.get(sourceId)?.source,
    sources: () => Array.from(state().source.values(), ({ source }) => source),
    secretsOf: (sourceId) => state().source.get(sourceId)?.secrets,
    putSource: (sourceChange) =>
      change(() => {
        const isKnown = state().source.has(sourceChange.sourceId)
        const entries = changeSource(state(), sourceChange, now())
        return entries === undefined ? [[], 'secret_missing'] : [entries, isKnown ? 'replaced' : 'added']
      }),
    deleteSource: (sourceId) => remove('source', sourceId),
  }
}

/** Undefined where a secret is missing. */
function changeSource(
  { source: sources }: VaultState,
  { secret, dropsPreviousSecret, ...settings }: SourceChange,
  nowMs: number,
): Change | undefined {
  const before = sources.get(settings.sourceId)
  const known = before?.secrets ?? []
  const isNew = secret !== undefined && secret !== known[0]
  const all = isNew ? [secret, ...known] : known
  const secrets = all.slice(0, dropsPreviousSecret ? 1 : 2)
  if (secrets.length === 0) return undefined
  const source: Source = {
    ...settings,
    secretSetAtMs: isNew || before === undefined ? nowMs : before.source.secretSetAtMs,
    hasPreviousSecret: secrets.length > 1,
    createdAtMs: before?.source.createdAtMs ?? nowMs,
  }
  return [['source', source.sourceId, { source, secrets }]]
}
