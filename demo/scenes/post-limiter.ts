/** A burst that the post limiter refuses, and another shop that is not affected. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Scene } from '../demo.ts'
import { sampleEvent } from '../sample.ts'
import { count } from '../show.ts'
import type { Answer } from '../stage.ts'
import { arrivals } from '../wire.ts'

const POSTS = 200
const NEIGHBOUR_POSTS = 10

export const postLimiterScene: Scene = {
  title: 'A burst meets the post limiter',
  async play({ stage, screen, claim, ledger }) {
    const { busy, quiet } = stage.shops
    const perMinute = busy.postsPerMinute!
    screen.prose(
      'Pinterest lets an ad account make 5,000 calls a minute; so many posts pass the post limiter of an account by default. ' +
        `To keep this short, "${busy.label}" got a post limiter of its own with ${perMinute} a minute. It now sends ${POSTS} posts ` +
        `in one moment, while "${quiet.label}" continues to sell.`,
    )
    screen.blank()
    const startedMs = performance.now()
    const [answers, neighbour] = await Promise.all([
      postMany(POSTS, (index) => stage.post(busy, [sampleEvent(`demo-burst-${index}`)])),
      postMany(NEIGHBOUR_POSTS, (index) => stage.post(quiet, [sampleEvent(`demo-quiet-${index}`)])),
    ])
    const durationS = (performance.now() - startedMs) / 1000
    const passed = answers.flatMap(({ status }, index) => (isTaken(status) ? [`demo-burst-${index}`] : []))
    const refused = answers.filter(({ status }) => status === 429)
    const waitS = Math.max(...refused.map(({ headers }) => Number(headers.get('retry-after'))))
    ledger.received += passed.length + NEIGHBOUR_POSTS

    const refilled = Math.ceil((durationS * perMinute) / 60)
    claim(
      `${passed.length} of ${POSTS} posts passed: the post limiter's ${perMinute}, and what came free in ${durationS.toFixed(1)} s`,
      passed.length >= perMinute && passed.length <= perMinute + refilled,
    )
    claim(
      `the other ${refused.length} were answered 429 with Pinterest's code 8 and Retry-After: ${waitS}`,
      refused.length === POSTS - passed.length &&
        refused.every(({ code, headers }) => code === 8 && Number(headers.get('retry-after')) >= 1),
    )
    const arrived = arrivals(stage.sandbox, busy).map(({ event }) => String(event['event_id']))
    claim(
      'what passed arrived, each event once, and nothing of what was refused',
      arrived.length === passed.length && passed.every((id) => arrived.includes(id)),
    )
    claim(
      `the neighbour's ${NEIGHBOUR_POSTS} posts in the midst of it were all answered 200`,
      neighbour.every(({ status }) => status === 200),
    )
    await delay(waitS * 1000)
    const later = await stage.post(busy, [sampleEvent('demo-burst-later')])
    ledger.received += 1
    claim(`after waiting ${count(waitS, 'second')} as answered, the next post passes`, later.status === 200)
  },
}

function postMany(posts: number, post: (index: number) => Promise<Answer>): Promise<Answer[]> {
  return Promise.all(Array.from({ length: posts }, (_, index) => post(index)))
}

function isTaken(status: number): boolean {
  return status === 200 || status === 202
}
