import { Option } from 'commander'
import { command, type DefineCommand } from '../command.ts'
import { installation, loadConfiguration } from '../configuration.ts'
import { type GlobalFlags, parseTimeout } from '../flags.ts'
import { knowOperations } from '../process-guard.ts'
import { interrupted, passSignalsTo } from '../signals.ts'
import { version } from '../version.ts'

type Flags = GlobalFlags & { group?: string; stopTimeout?: number; log?: 'json' | 'text' }

const define: DefineCommand = (does) =>
  command(
    'daemon',
    'run the resident host of the state directory; commands and programs reach it by the socket in there',
    'podwire daemon --group podwire',
  )
    .option(
      '--group <group>',
      'let members of this group use it too; they can do with pods what its user can',
    )
    .option(
      '--stop-timeout <duration>',
      'what still runs so long after a SIGTERM is aborted and undone (default: 30s)',
      parseTimeout,
    )
    .addOption(
      new Option('--log <format>', 'how it logs to stderr (default: text on a terminal, else json)').choices([
        'json',
        'text',
      ]),
    )
    .action(does(daemon))
export default define

/** Ends by SIGTERM or SIGINT; SIGHUP has it read its configuration again. */
async function daemon({ group, stopTimeout, log: format, ...flags }: Flags): Promise<void> {
  const { createDaemonLog, currentOperation, groupId, startDaemon } = await import('@podwire/daemon')
  knowOperations(currentOperation)
  const log = createDaemonLog({
    level: flags.verbose ? 'debug' : 'info',
    readable: format === undefined ? process.stderr.isTTY : format === 'text',
  })
  try {
    interrupted.throwIfAborted()
    const running = await startDaemon({
      load: () => loadConfiguration(flags),
      installation: installation(),
      log,
      ...(group === undefined ? {} : { gid: groupId(group) }),
      version: version(),
    })
    await ending(
      () => void running.reload(),
      () => void running.stop(stopTimeout),
    )
    await running.stop(stopTimeout)
    // What nobody caught; asked to end, it has done so.
    interrupted.throwIfAborted()
  } finally {
    log.flush()
  }
}

/** Resolves when the daemon is to end. @param again called when it is asked once more */
function ending(reload: () => void, again: () => void): Promise<void> {
  return new Promise((resolve) => {
    let isEnding = false
    const end = () => {
      if (isEnding) again()
      isEnding = true
      resolve()
    }
    passSignalsTo((signal) => {
      if (signal === 'SIGHUP') reload()
      else if (signal !== 'SIGUSR1' && signal !== 'SIGUSR2') end()
    })
    interrupted.addEventListener('abort', end)
    if (interrupted.aborted) end()
  })
}
