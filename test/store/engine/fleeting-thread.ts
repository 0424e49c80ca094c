/** The thread of a custom source that ends once it has answered. */
import { parentPort } from 'node:worker_threads'

const port = parentPort!
port.once('message', () => {
  port.postMessage('answered')
})
port.postMessage('loaded')
