/** All routes of the admin port, in the order of its description. */
import { accountActionRoutes } from './account-actions.ts'
import { accountRoutes } from './accounts.ts'
import { auditRoutes } from './audit.ts'
import { backupRoutes } from './backup.ts'
import { consentRoutes } from './consent.ts'
import { consoleRoutes } from './console.ts'
import { deadLetterRoutes } from './dead-letters.ts'
import { eventRoutes } from './events.ts'
import { explainRoutes } from './explain.ts'
import { keyRoutes } from './keys.ts'
import { liveRoutes } from './live.ts'
import { matchQualityRoutes } from './match-quality.ts'
import { metricsRoutes } from './metrics.ts'
import { openapiRoutes } from './openapi.ts'
import type { AdminRoutes } from './options.ts'
import { qualityRoutes } from './quality.ts'
import { recoverRoutes } from './recover.ts'
import { resealRoutes } from './reseal.ts'
import { sessionRoutes } from './session-routes.ts'
import { sourceRoutes } from './sources.ts'
import { totalsRoutes } from './totals.ts'
import { volumeRoutes } from './volume.ts'

export const ROUTES: readonly AdminRoutes[] = [
  metricsRoutes,
  accountRoutes,
  accountActionRoutes,
  sessionRoutes,
  consentRoutes,
  qualityRoutes,
  matchQualityRoutes,
  volumeRoutes,
  keyRoutes,
  sourceRoutes,
  totalsRoutes,
  eventRoutes,
  deadLetterRoutes,
  explainRoutes,
  resealRoutes,
  backupRoutes,
  recoverRoutes,
  auditRoutes,
  liveRoutes,
  consoleRoutes,
  openapiRoutes,
]
