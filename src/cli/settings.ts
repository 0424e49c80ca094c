/** `settings`: every setting with its value in this environment (in the relay's container: the relay's). No secret is shown. */
import { BadSettings } from '../errors.ts'
import type { Settings } from '../settings.ts'
import type { Command } from './command.ts'
import { renderTable } from './table.ts'
import { CommandFailed, type Terminal } from './terminal.ts'

export const settings: Command = {
  name: 'settings',
  words: '',
  does: 'every setting, its value in force in this environment, whether that is the default, and what it does; secrets are masked',
  async run({ terminal }) {
    const rows = await list(terminal.environment)
    const columns = { name: 'name', value: 'value', set: 'is_set', 'what it does': 'description' } as const
    return { answer: { settings: rows }, text: renderTable(columns, rows) }
  },
}

async function list(environment: Terminal['environment']) {
  const { SettingsSchema, textOfSetting } = await import('../settings.ts')
  const inForce = await readEnvironment(environment)
  return Object.entries(SettingsSchema.properties).map(([name, schema]) => {
    const value = String(inForce[name as keyof typeof SettingsSchema.properties] ?? '')
    return {
      name,
      value: value === '' ? null : 'isSecret' in schema ? 'set' : withoutPassword(value),
      is_set: textOfSetting(environment, name, schema) !== '',
      description: (schema as { readonly description?: string }).description,
    }
  })
}

/** The schema takes longer to load than all commands. */
export async function readEnvironment(environment: Terminal['environment']): Promise<Settings> {
  const { readSettings } = await import('../settings.ts')
  try {
    return readSettings(environment)
  } catch (error) {
    if (error instanceof BadSettings) throw new CommandFailed(error.message)
    throw error
  }
}

/** Of a URL; a connection string may have one among its parameters, too. */
function withoutPassword(text: string): string {
  if (!text.includes('://')) return text
  return text.replace(/:\/\/[^/?]*@/, '://•••@').replace(/\?.*$/s, '?•••')
}
