/** What each command is made of. */
import type { ParseArgsConfig } from 'node:util'
import type { AdminClient } from './admin-client.ts'
import type { Terminal } from './terminal.ts'

export interface Command {
  /** One or two words: `status`, `account list`. */
  readonly name: string
  /** What comes behind the name, for `--help`. */
  readonly words: string
  readonly does: string
  readonly options?: NonNullable<ParseArgsConfig['options']>
  /** How many words must stand behind the name. */
  readonly positionals: number
  run(invocation: Invocation): Promise<number>
}

export interface Invocation {
  readonly positionals: readonly string[]
  readonly options: Readonly<Record<string, OptionValue>>
  readonly isJson: boolean
  readonly admin: AdminClient
  readonly terminal: Terminal
}

export type OptionValue = string | boolean | undefined | readonly (string | boolean)[]

/** An option's text; undefined when it is not given. */
export function textOf(value: OptionValue): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** The first word behind the command's name. */
export function firstOf({ positionals }: Invocation): string {
  return positionals[0]!
}

/** JSON for programs, or what people read. */
export function show({ isJson, terminal }: Invocation, answer: unknown, forPeople: () => string): void {
  terminal.print(isJson ? JSON.stringify(answer, null, 2) : forPeople())
}

export function pathOfAccount(invocation: Invocation): string {
  return `/accounts/${encodeURIComponent(firstOf(invocation))}`
}
