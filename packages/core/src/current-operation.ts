import { AsyncLocalStorage } from 'node:async_hooks'

/** A call of a plugin. */
export interface PluginOperation {
  readonly plugin: string
  /** `init`, `set up`, `tear down` … */
  readonly operation: string
}

const running = new AsyncLocalStorage<PluginOperation>()

/** The call of a plugin that this code runs in; undefined outside of any. Tells who called `process.exit`. */
export function currentOperation(): PluginOperation | undefined {
  return running.getStore()
}

export function runOperation<T>(operation: PluginOperation, run: () => T): T {
  return running.run(operation, run)
}
