import { watch } from 'node:fs'
import { printable } from '@podwire/api'
import { print } from '../output.ts'
import { interrupted } from '../signals.ts'
import type { Trial } from './trial.ts'
import { warmProcess } from './warm-process.ts'

/** What an editor writes in one go is one change. Milliseconds. */
const settleMs = 15

/**
 * Tries the plugin package in `dir` now, and whenever a file of it has changed, until this process is asked to end.
 * @returns the exit code: that of the last try with `once`
 */
export async function reloadOnChange(dir: string, { once }: { readonly once: boolean }): Promise<number> {
  const changes = changesIn(dir)
  try {
    let warm = warmProcess(dir)
    for (let changedAt = performance.now(); ; changedAt = await changes.next()) {
      const current = warm
      const trial = await current.run()
      show(trial, performance.now() - changedAt)
      if (once) return trial.ok ? 0 : 1
      // What the next one needs is loaded while the author writes.
      warm = warmProcess(dir)
    }
  } catch (error) {
    if (interrupted.aborted) return 0
    throw error
  } finally {
    changes.close()
  }
}

/** Tells when files change; what nobody waited for counts as one change. */
function changesIn(dir: string) {
  let changedAt: number | undefined
  let wake = () => {}
  const watcher = watch(dir, { recursive: true, signal: interrupted }, (_event, file) => {
    if (file !== null && /(?:^|\/)(?:node_modules|dist|coverage|\.git)(?:\/|$)/.test(file)) return
    changedAt ??= performance.now()
    wake()
  })
  watcher.on('error', () => wake())
  return {
    close: () => watcher.close(),
    /** Resolves with the time of the change. */
    async next(): Promise<number> {
      while (changedAt === undefined) {
        interrupted.throwIfAborted()
        await new Promise<void>((resolve) => {
          wake = resolve
          interrupted.addEventListener('abort', () => resolve(), { once: true })
        })
      }
      await new Promise((resolve) => setTimeout(resolve, settleMs))
      const at = changedAt
      changedAt = undefined
      return at
    },
  }
}

function show(trial: Trial, ms: number): void {
  const time = new Date().toTimeString().slice(0, 8)
  const after = `${Math.round(ms)} ms after the save`
  if (!trial.ok) {
    print(`${time}  failed, ${after}`)
    for (const { message, positions } of trial.problems)
      print([printable(message), ...positions.map((position) => `    at ${position}`)].join('\n'))
    return
  }
  const { plugin, capabilities, ips, interfaces, setUpMs, tearDownMs } = trial
  const can = capabilities.length > 0 ? `: ${capabilities.join(', ')}` : ''
  print(`${time}  ok, ${after}  ${plugin}${can}`)
  print(
    `    ${ips.join(', ') || 'no address'}; set up in ${setUpMs.toFixed(1)} ms, torn down in ${tearDownMs.toFixed(1)} ms`,
  )
  for (const line of interfaces) print(`    ${line}`)
}
