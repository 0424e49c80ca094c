/** Something asked again and again while the page is seen, one question at a time. */

/**
 * @param {number} everyMs
 * @param {() => Promise<void>} refresh what it throws is for it to show
 * @returns {() => void} ends it
 */
export function poll(everyMs, refresh) {
  let isClosed = false
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  async function turn() {
    clearTimeout(timer)
    if (isClosed || document.hidden) return
    await refresh()
    if (!isClosed) timer = setTimeout(turn, everyMs)
  }
  const seen = () => void (document.hidden || turn())
  document.addEventListener('visibilitychange', seen)
  void turn()
  return () => {
    isClosed = true
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', seen)
  }
}
