/** The sandbox's clock, also in another process: reads like the wall clock but never jumps. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now()
}
