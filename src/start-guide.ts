/** What a person needs after a start: where the console is, where its token is, and what to do first. For the log, and for a terminal. */
import type { Relay } from './relay.ts'
import type { Settings } from './settings.ts'
import { adminTokenFile } from './store/open-store.ts'
import type { LogFields } from './telemetry/log.ts'

type Guide = Required<Pick<LogFields, 'console' | 'admin_token_in' | 'posts_to'>> & Pick<LogFields, 'next'>

/** `container`: where the built relay runs, which has the command in its path. */
export function guideOf(
  relay: Pick<Relay, 'publicUrl' | 'adminUrl' | 'hasAccounts'>,
  settings: Settings,
  container?: string,
): Guide {
  const init = container === undefined ? 'npm run relay -- init' : `docker exec -it ${container} relay init`
  return {
    console: `${settings.ADMIN_PUBLIC_URL ?? relay.adminUrl}/`,
    admin_token_in: settings.ADMIN_TOKEN === undefined ? adminTokenFile(settings) : 'ADMIN_TOKEN',
    posts_to: `${relay.publicUrl}/v5/ad_accounts/AD_ACCOUNT_ID/events`,
    ...(!relay.hasAccounts && { next: init }),
  }
}

export function renderGuide({ console, admin_token_in: token, posts_to: posts, next }: Guide): string {
  const lines = [
    `console      ${console}`,
    `admin token  ${token === 'ADMIN_TOKEN' ? 'the one in ADMIN_TOKEN' : `in ${token}`}`,
    `posts        ${posts}`,
    ...(next === undefined
      ? []
      : [`next         ${next}`, '             registers an ad account and connects a shop']),
  ]
  return `\nPinrelay is running.\n\n${lines.map((line) => `  ${line}\n`).join('')}\n`
}
