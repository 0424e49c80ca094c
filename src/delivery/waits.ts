/**
 * Posts that wait for the verdicts of their parcel. A parcel may leave memory while its post waits (its bytes go back
 * to the store); it is found again here by its id.
 */
import type { Clock } from '../clock.ts'
import type { Parcel } from './parcel.ts'

export interface Waits {
  /** Resolves when `done` is called for the parcel, after `waitMs`, or when all waits end. */
  waitFor(parcel: Parcel, waitMs: number): Promise<void>
  /** The parcel that a post waits for. */
  find(parcelId: number): Parcel | undefined
  done(parcelId: number): void
  /** Ends every wait, now and from now on. */
  endAll(): void
}

export function createWaits(clock: Clock): Waits {
  const waits = new Map<number, { readonly parcel: Parcel; readonly end: () => void }>()
  let areOver = false
  return {
    waitFor(parcel, waitMs) {
      if (areOver || waitMs <= 0) return Promise.resolve()
      return new Promise((resolve) => {
        const end = () => {
          parcel.isAwaited = false
          waits.delete(parcel.parcelId)
          cancel()
          resolve()
        }
        const cancel = clock.after(waitMs, end)
        parcel.isAwaited = true
        waits.set(parcel.parcelId, { parcel, end })
      })
    },
    find: (parcelId) => waits.get(parcelId)?.parcel,
    done: (parcelId) => waits.get(parcelId)?.end(),
    endAll() {
      areOver = true
      for (const { end } of waits.values()) end()
    },
  }
}
