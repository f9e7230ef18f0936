import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import { type Logger, messageOf } from '@podwire/api'

/** An editor writes a file in several steps. Milliseconds. */
const settleMs = 300

/** Calls back when a file was changed, or replaced by another. Returns what ends that. */
export function watchFile(file: string, onChange: () => void, log: Logger): () => void {
  let timer: NodeJS.Timeout | undefined
  let watcher: FSWatcher | undefined
  const failed = (error: unknown) =>
    log.warn(`${file} can't be watched, so that only SIGHUP has it read again: ${messageOf(error)}`)
  try {
    // The directory: a file that is replaced is another file.
    watcher = watch(dirname(file), { persistent: false }, (_event, name) => {
      if (name !== basename(file)) return
      clearTimeout(timer)
      timer = setTimeout(onChange, settleMs)
    })
    watcher.on('error', failed)
  } catch (error) {
    failed(error)
  }
  return () => {
    clearTimeout(timer)
    watcher?.close()
  }
}
