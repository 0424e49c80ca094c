/** A service that calls Pinterest while the shop waits. What Pinterest does not take is the shop's to send again. */
import { callPinterest, serve } from './afternoon.js'

await serve(callPinterest)
