/** The whole demo: an introduction, the scenes, the result. */
import type { Claims } from './claims.ts'
import { judgeClaims } from './claims.ts'
import { createDemo } from './demo.ts'
import { SCENES } from './scenes/all.ts'
import type { Screen } from './screen.ts'
import { count } from './show.ts'
import type { Stage } from './stage.ts'

export async function play(stage: Stage, screen: Screen, claims: Claims): Promise<0 | 1> {
  const startedMs = performance.now()
  const demo = createDemo({ stage, screen, claims })
  screen.prose(
    'Pinrelay runs between storefronts and the Pinterest Conversions API: it normalizes, hashes, limits, and loses nothing. ' +
      'What follows is a real relay in its own process with a store that is thrown away, and a strict stand-in for ' +
      'Pinterest, the sandbox. Every ✓ is checked against the bytes that the sandbox received.',
  )
  for (const [index, scene] of SCENES.entries()) {
    screen.heading(`${index + 1}. ${scene.title}`)
    await scene.play(demo)
  }
  return conclude(screen, claims, (performance.now() - startedMs) / 1000)
}

/** Prints the result; answers the exit code. */
export function conclude(screen: Screen, claims: Claims, durationS: number): 0 | 1 {
  const { exitCode, held, failed } = judgeClaims(claims.all)
  screen.heading('How it went')
  if (exitCode === 0) {
    screen.claim(`all ${count(held, 'claim')} hold; it took ${durationS.toFixed(1)} s`, true)
  } else {
    screen.claim(`${count(failed.length, 'claim')} of ${claims.all.length} failed:`, false)
    for (const text of failed) screen.claim(text, false)
  }
  return exitCode
}
