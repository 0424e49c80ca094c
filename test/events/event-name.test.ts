import t from 'tap'
import { eventName, isKnownEventName } from '../../src/events/event-name.ts'
import { renderWarnings } from '../../src/events/reasons.ts'
import { prepareEvent } from '../../src/events/prepare.ts'
import { LIVE, PLAIN } from './raw-events.ts'

const mapped: Readonly<Record<string, readonly string[]>> = {
  checkout: ['Checkout', 'CHECKOUT', 'Purchase', 'purchase', 'PURCHASE'],
  add_to_cart: ['AddToCart', 'addtocart', 'Add to Cart', 'add-to-cart', 'ADD_TO_CART', 'add_to_cart\u200b'],
  page_visit: ['PageVisit', 'pagevisit', 'PageView', 'page_view'],
  view_category: ['ViewCategory', 'view_item_list', 'viewcategory'],
  view_content: ['ViewContent', 'view_item', 'viewItem'],
  signup: ['Signup', 'sign_up', 'SignUp', 'CompleteRegistration'],
  initiate_checkout: ['InitiateCheckout', 'begin_checkout'],
  lead: ['Lead', 'generate_lead'],
  search: ['Search', 'view_search_results'],
  watch_video: ['WatchVideo', 'watchvideo'],
  add_payment_info: ['AddPaymentInfo'],
  add_to_wishlist: ['AddToWishlist', 'AddToWishList'],
  start_trial: ['StartTrial'],
  custom: ['Custom'],
}

t.test('names of the browser tag, of GA4 and of Meta are mapped', async (t) => {
  for (const [name, written] of Object.entries(mapped)) {
    t.ok(isKnownEventName(name))
    t.same(eventName(name), { status: 'read', value: name })
    for (const one of written) {
      t.same(eventName(one), { status: 'read', value: name, warning: 'event_name_mapped', hint: name }, one)
    }
  }
  const prepared = prepareEvent({ ...PLAIN, event_name: 'Purchase' }, LIVE)
  t.match(prepared, { status: 'prepared', eventName: 'checkout' })
  t.equal(renderWarnings(prepared.warnings), 'event_name: event_name_mapped (checkout)')
})

t.test('any other name is sent as it is, with the nearest known one as a hint', async (t) => {
  const rows: [name: string, hint: string | undefined][] = [
    ['add_to_crat', 'nearest: add_to_cart'],
    ['chekout', 'nearest: checkout'],
    ['purchased', 'nearest: checkout'],
    ['refund', undefined],
    ['Quiz finished', undefined],
    ['__proto__', undefined],
    ['購入', undefined],
  ]
  for (const [name, hint] of rows) {
    t.match(eventName(name), { status: 'read', value: name, warning: 'unknown_event_name', hint }, name)
  }
})

t.test('an account’s own names come first', async (t) => {
  const own = { Purchase: 'Purchase', view_item: 'page_visit', quiz: 'custom' }
  t.same(eventName('Purchase', own), { status: 'read', value: 'Purchase' })
  t.same(eventName('view_item', own), { status: 'read', value: 'page_visit' })
  t.same(eventName('quiz', own), { status: 'read', value: 'custom' })
  t.match(eventName('purchase', own), { value: 'checkout', warning: 'event_name_mapped' })
  t.match(eventName('toString', own), { value: 'toString', warning: 'unknown_event_name' })
  const prepared = prepareEvent({ ...PLAIN, event_name: 'quiz' }, { ...LIVE, eventNames: own })
  t.match(prepared, { eventName: 'custom', warnings: [] })
})
