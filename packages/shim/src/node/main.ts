// The CNI plugin that container runtimes start where there is no native one: it does the same as src/native, in the same words.
import { type CommandName, deadlineOf, readCommand } from './command.ts'
import { askDaemon } from './exchange.ts'
import { writeJournal } from './journal.ts'
import {
  DECODING_FAILURE,
  INVALID_ENVIRONMENT,
  IO_FAILURE,
  NOT_AVAILABLE,
  Problem,
  TRY_AGAIN_LATER,
} from './problem.ts'
import { type Request, readRequest } from './request.ts'
import { readSettings, type Settings } from './settings.ts'

/** How long whoever reads may take after the deadline. Milliseconds. */
const lastWordsMs = 1000

const versions = '{"cniVersion":"1.1.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}\n'

/** Why a wait ended. */
class GivenUp extends Error {
  readonly isSignal: boolean

  constructor(message: string, isSignal: boolean) {
    super(message)
    this.isSignal = isSignal
  }
}

const giveUp = new AbortController()
for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
  process.on(name, () => giveUp.abort(new GivenUp('a signal ended the shim first', true)))

main()
  .catch((error) =>
    endWith(error instanceof Problem ? error : new Problem(IO_FAILURE, `the shim failed: ${error}`)),
  )
  .then((code) => process.exit(code))

async function main(): Promise<number> {
  process.umask(0o077)
  const command = readCommand()
  const settings = readSettings(__filename)
  const late = new GivenUp('it did not answer in time', false)
  setTimeout(() => giveUp.abort(late), settings.deadlineMs ?? deadlineOf(command))
  const request = await readRequest(giveUp.signal).catch((error) => {
    if (!(error instanceof GivenUp)) throw error
    if (error.isSignal) throw new Problem(TRY_AGAIN_LATER, 'a signal ended it before stdin was read')
    throw new Problem(IO_FAILURE, 'stdin did not end in time')
  })
  try {
    const { isDone, body } = await askDaemon(settings.socket, request.body, giveUp.signal)
    return (await print(body, giveUp.signal)) && isDone ? 0 : 1
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return doWithoutDaemon(command, settings, request, error)
  }
}

function isSignalled(): boolean {
  return giveUp.signal.reason instanceof GivenUp && giveUp.signal.reason.isSignal
}

async function doWithoutDaemon(
  command: CommandName,
  settings: Settings,
  request: Request,
  why: Problem,
): Promise<number> {
  if (command === 'DEL') return deleteLater(settings, request, why)
  if (command === 'VERSION' && !isSignalled())
    return (await print(versions, AbortSignal.timeout(lastWordsMs))) ? 0 : 1
  return endWith(command === 'STATUS' ? new Problem(NOT_AVAILABLE, why.message) : why)
}

async function deleteLater(settings: Settings, request: Request, why: Problem): Promise<number> {
  // A journal is for DELs that mean something: what the daemon would refuse is refused here.
  const missing = ['CNI_CONTAINERID', 'CNI_IFNAME'].find((name) => !process.env[name])
  if (missing !== undefined) throw new Problem(INVALID_ENVIRONMENT, `${missing} is missing`)
  if (request.stdinLength === 0)
    throw new Problem(DECODING_FAILURE, 'stdin is empty, instead of a configuration')
  writeJournal(settings.journal, request.body)
  // Whoever ended it is not told that all is well.
  if (isSignalled()) return endWith(why)
  process.stderr.write(
    `podwire: ${why.message}; the DEL is in ${settings.journal}, and carried out when it is there\n`,
  )
  return 0
}

async function endWith({ code, message }: Problem): Promise<number> {
  const json = `${JSON.stringify({ cniVersion: '1.1.0', code, msg: message })}\n`
  await print(json, AbortSignal.timeout(lastWordsMs))
  return 1
}

/** On stdout. Resolves with whether all of it was taken, before the signal. */
function print(text: string | Buffer, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false)
    signal.addEventListener('abort', () => resolve(false))
    process.stdout.on('error', () => resolve(false))
    process.stdout.write(text, (error) => resolve(!error))
  })
}
