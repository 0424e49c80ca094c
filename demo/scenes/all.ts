/** The scenes in their order. The last two check all the others. */
import type { Scene } from '../demo.ts'
import { badEventsScene } from './bad-events.ts'
import { totalsScene } from './totals.ts'
import { postLimiterScene } from './post-limiter.ts'
import { firewallScene } from './firewall.ts'
import { duplicatesScene } from './duplicates.ts'
import { hashedScene } from './hashed.ts'
import { leaksScene } from './leaks.ts'
import { ordersScene } from './orders.ts'
import { outageScene } from './outage.ts'
import { seedScene } from './seed.ts'
import { webhooksScene } from './webhooks.ts'

export const SCENES: readonly Scene[] = [
  ordersScene,
  badEventsScene,
  firewallScene,
  hashedScene,
  seedScene,
  webhooksScene,
  duplicatesScene,
  postLimiterScene,
  outageScene,
  leaksScene,
  totalsScene,
]
