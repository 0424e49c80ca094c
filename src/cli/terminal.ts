/** What a command may use of the process it runs in; tests give it their own. */
export interface Terminal {
  /** The version of this program; the relay's may be another. */
  readonly version: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The answer, for people or as JSON. */
  print(text: string): void
  /** Progress and errors. */
  report(text: string): void
  /** All of standard input. */
  readInput(): Promise<string>
  /** One line that a person types; empty where nobody can be asked. */
  ask(question: string): Promise<string>
  /** One line of standard input, not shown where a person types it. */
  readSecret(prompt: string): Promise<string>
  readFile(path: string): Promise<string>
  wait(ms: number): Promise<void>
}

/** 0 done; 1 refused or not reached; 2 the command line is wrong; 3 done in part. */
export const EXIT = { done: 0, refused: 1, usage: 2, partly: 3 } as const

/** Ends the command with a line on standard error; `code` is for programs. */
export class CommandFailed extends Error {
  readonly exitCode: number
  readonly code: string

  constructor(message: string, exitCode: number = EXIT.refused, code = 'FAILED') {
    super(message)
    this.exitCode = exitCode
    this.code = code
  }
}

export function misused(message: string): CommandFailed {
  return new CommandFailed(message, EXIT.usage, 'USAGE')
}
