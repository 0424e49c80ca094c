/** The engine in a thread of its own. */
import { parentPort } from 'node:worker_threads'
import { serveEngine } from './serve.ts'

serveEngine(parentPort!)
