#!/usr/bin/env node
/** The operator's command (`npm run --silent relay -- COMMAND`, in the image `relay COMMAND`): talks to a relay's admin port. */
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { text } from 'node:stream/consumers'
import { Writable } from 'node:stream'
import packageJson from '../package.json' with { type: 'json' }
import { misused, type Terminal } from './cli/terminal.ts'
import { runCommandLine } from './cli/run.ts'

const terminal: Terminal = {
  version: packageJson.version,
  environment: process.env,
  print: (line) => void process.stdout.write(`${line}\n`),
  report: (line) => void process.stderr.write(`${line}\n`),
  readInput: () => text(process.stdin),
  ask: async (question) => (process.stdin.isTTY ? readLine(question, true) : ''),
  readSecret: async (prompt) => (process.stdin.isTTY ? readLine(prompt, false) : text(process.stdin)),
  wait: (ms) => delay(ms),
  async readFile(path) {
    try {
      return await readFile(path, 'utf8')
    } catch {
      throw misused(`${path} cannot be read.`)
    }
  },
}

process.exitCode = await runCommandLine(process.argv.slice(2), terminal)

async function readLine(question: string, isShown: boolean): Promise<string> {
  // Readline echoes what is typed to its output: a secret goes nowhere.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const output = isShown ? process.stderr : nowhere
  const lines = createInterface({ input: process.stdin, output, terminal: true, prompt: question })
  if (!isShown) process.stderr.write(question)
  lines.prompt()
  try {
    return await new Promise((resolve) => {
      lines.once('line', (line) => resolve(line.trim()))
      lines.once('close', () => resolve(''))
    })
  } finally {
    lines.close()
    if (!isShown) process.stderr.write('\n')
  }
}
