/** `reseal` and `recover FILE`. */
import { basename } from 'node:path'
import { firstOf, show, type Command } from './command.ts'
import { EXIT } from './terminal.ts'

const reseal: Command = {
  name: 'reseal',
  words: '',
  does: 'seals again with MASTER_KEY whatever MASTER_KEY_PREVIOUS sealed; afterwards the previous key is not needed any more',
  positionals: 0,
  async run(invocation) {
    const answer = await invocation.admin.send('POST', '/reseal')
    show(
      invocation,
      answer,
      () =>
        `resealed ${Number(answer['records'])} records of the vault and ${Number(answer['payloads'])} payloads`,
    )
    return EXIT.done
  },
}

const recover: Command = {
  name: 'recover',
  words: 'FILE',
  does: 'brings back what can be read of a queue that was quarantined (relay.db.corrupt-…)',
  positionals: 1,
  async run(invocation) {
    // A path is taken as well: the log and `ls` show the name, a shell completes the path.
    const answer = await invocation.admin.send('POST', '/recover', { file: basename(firstOf(invocation)) })
    const of = (name: string) => Number(answer[name])
    show(
      invocation,
      answer,
      () =>
        `recovered ${of('events')} events in ${of('batches')} batches and ${of('dead_letters')} dead letters; ` +
        `${of('duplicates')} were here already, ${of('unreadable')} batches or dead letters cannot be read`,
    )
    return EXIT.done
  },
}

export const maintenanceCommands: readonly Command[] = [reseal, recover]
