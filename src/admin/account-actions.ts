/** What can be done with an account's token and calls: verify, mint, pause, resume. */
import { Type, type Static } from 'typebox'
import { verifyAll } from '../delivery/verify-all.ts'
import { AccountView, createShowAccount, findAccount } from './account-view.ts'
import { AccountParams as Params, AdAccountId, answers, closed, orNull } from './answers.ts'
import type { AdminRoutes } from './options.ts'

const Verified = {
  works: Type.Boolean(),
  status: orNull(Type.Integer({ description: "Pinterest's HTTP status; null without an answer." })),
  message: Type.String(),
}
const Verification = Type.Object(Verified, closed)
export type VerificationAnswer = Static<typeof Verification>
const VerifiedOne = Type.Object({ ad_account_id: AdAccountId, ...Verified }, closed)
const tags = ['accounts']
const AccountNow = answers({ 200: AccountView })

export const accountActionRoutes: AdminRoutes = async (app, options) => {
  const { vault, delivery, verify, granting } = options
  const show = createShowAccount(options)

  async function verifyOne(adAccountId: string) {
    const { works, status, message } = await verify(adAccountId)
    // A queue that was held for its token may continue.
    if (works) delivery.goOn(adAccountId)
    return { works, status, message }
  }

  const verifying = {
    tags,
    summary: 'Ask Pinterest, with an event that it does not record, whether the token works',
    params: Params,
    response: answers({ 200: Verification }),
  }
  app.post('/accounts/:id/verify', { config: { isAudited: false }, schema: verifying }, async (request) =>
    verifyOne(findAccount(vault, request.params.id).adAccountId),
  )

  const verifyingAll = {
    tags,
    summary: 'The same for all accounts',
    response: answers({ 200: Type.Object({ verifications: Type.Array(VerifiedOne) }, closed) }),
  }
  app.post('/accounts/verify', { schema: verifyingAll }, async () => ({
    verifications: await verifyAll(
      vault.accounts().map(({ adAccountId }) => adAccountId),
      verifyOne,
    ),
  }))

  const minting = {
    tags,
    summary: "Have a long-lived token minted with the account's grant, and use it from then on",
    params: Params,
    response: AccountNow,
  }
  app.post('/accounts/:id/conversion-token', { schema: minting }, async (request) => {
    const { adAccountId } = findAccount(vault, request.params.id)
    await granting.mint(adAccountId)
    return show(findAccount(vault, adAccountId))
  })

  for (const [verb, isPaused, summary] of [
    ['pause', true, "Stop the account's calls; posts are still taken"],
    ['resume', false, 'Let them go on'],
  ] as const) {
    const schema = { tags, summary, params: Params, response: AccountNow }
    app.post(`/accounts/:id/${verb}`, { schema }, async (request) => {
      await vault.setPaused(request.params.id, isPaused)
      return show(findAccount(vault, request.params.id))
    })
  }
}
