import { spawnIsolated } from '../isolation.ts'
import type { Target, WorkerMessage, WorkerOrder } from './messages.ts'
import type { Observations } from './observations.ts'
import type { RuleResult } from './report.ts'

/** How a rule ended in a worker. */
export type TrialResult = Pick<RuleResult, 'rule' | 'outcome' | 'seen' | 'did' | 'milliseconds'>

/** Told while a worker runs. */
export interface WorkerListener {
  onResult(result: TrialResult): void
  onObserved(observations: Partial<Observations>): void
}

/** What a plugin's blocking of the event loop may take besides its deadline and grace time, on a busy machine. */
const slackMs = 15_000

/**
 * Tries rules in namespaces of their own until one fails, or all are done. Resolves with true where the plugin took the
 * process with it, or held it until it was killed.
 */
export function runWorker(
  order: WorkerOrder,
  nodeArguments: readonly string[],
  { onResult, onObserved }: WorkerListener,
): Promise<boolean> {
  const { target } = order
  const file = new URL(`./worker${import.meta.url.slice(-3)}`, import.meta.url)
  const child = spawnIsolated(process.execPath, [...nodeArguments, file.pathname], {
    env: process.env,
    cwd: target.dir,
    visible: visiblePaths(target, file.pathname),
  })
  let trial: { rule: string; did: string[]; started: number } | undefined
  let isLate = false
  const limit = target.deadlineMs + target.graceMs + slackMs
  const watchdog = setTimeout(() => {
    isLate = true
    child.kill('SIGKILL')
  }, limit)
  const end = ({ outcome, seen }: Pick<RuleResult, 'outcome' | 'seen'>) => {
    if (!trial) return
    const { rule, did, started } = trial
    trial = undefined
    const milliseconds = Math.round(performance.now() - started)
    onResult({ rule, outcome, did, milliseconds, ...(seen === undefined ? {} : { seen }) })
  }
  const printed: Buffer[] = []
  const complaints: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => printed.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => complaints.push(chunk))
  child.on('message', (message: WorkerMessage) => {
    watchdog.refresh()
    if (message.kind === 'began') trial = { rule: message.rule, did: [], started: performance.now() }
    if (message.kind === 'did') trial?.did.push(message.step)
    if (message.kind === 'observed') onObserved(message.observations)
    if (message.kind === 'ended') end(message.result)
  })
  child.send(order)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(watchdog)
      const text = Buffer.concat(printed).toString()
      if (text !== '') onObserved({ stdout: [`a child process: ${JSON.stringify(text.slice(0, 200))}`] })
      const during = trial?.did.at(-1) ?? 'its start'
      const errors = Buffer.concat(complaints).toString().trim().slice(-500)
      const how = isLate
        ? `nothing was heard of the process for ${limit} ms, during ${during}: its event loop was blocked`
        : `the process ended with ${signal ?? `exit code ${code}`} during ${during}${errors ? `: ${errors}` : ''}`
      if (!trial && code === 0) return resolve(false)
      if (!trial) return reject(new Error(how))
      if (!isLate) onObserved({ exits: [`${during}: ${signal ?? `exit code ${code}`}`] })
      end({ outcome: 'failed', seen: how })
      resolve(true)
    })
  })
}

// What a worker reads must not be hidden from it.
function visiblePaths({ dir, module, loader }: Target, worker: string): string[] {
  const urls = [module, loader].flatMap((url) => (url === undefined ? [] : new URL(url).pathname))
  return [dir, process.execPath, worker, ...urls]
}
