import type { Command } from '../invoke/environment.ts'
import type { JsonObject } from '../json.ts'
import { convertResult } from '../result/convert.ts'
import type { Result } from '../result/result.ts'

/** Runs another plugin from CNI_PATH in this plugin's environment, with this plugin's configuration unless given one. */
export interface Delegate {
  add(plugin: string, config?: JsonObject): Promise<Result>
  check(plugin: string, config?: JsonObject): Promise<void>
  del(plugin: string, config?: JsonObject): Promise<void>
  gc(plugin: string, config?: JsonObject): Promise<void>
  status(plugin: string, config?: JsonObject): Promise<void>
}

export function delegateWith(own: JsonObject, path: readonly string[]): Delegate {
  const without = (command: Command) => async (plugin: string, config?: JsonObject) => {
    await run(command, plugin, config ?? own, path)
  }
  return {
    add: async (plugin, config) => convertResult(await runAdd(plugin, config ?? own, path), '1.1.0'),
    check: without('CHECK'),
    del: without('DEL'),
    gc: without('GC'),
    status: without('STATUS'),
  }
}

async function runAdd(plugin: string, config: JsonObject, path: readonly string[]) {
  const { callForResult } = await import('../invoke/call-plugin.ts')
  return prepare('ADD', plugin, config, path, callForResult)
}

async function run(command: Command, plugin: string, config: JsonObject, path: readonly string[]) {
  const { callPlugin } = await import('../invoke/call-plugin.ts')
  return prepare(command, plugin, config, path, callPlugin)
}

// What runs processes is loaded only by plugins that delegate.
async function prepare<Answer>(
  command: Command,
  plugin: string,
  config: JsonObject,
  path: readonly string[],
  call: (call: import('../invoke/call-plugin.ts').PluginCall) => Promise<Answer>,
): Promise<Answer> {
  const [{ findPlugin }, { withDeadline }, { delegateEnvironment }] = await Promise.all([
    import('../invoke/find-plugin.ts'),
    import('../invoke/deadline.ts'),
    import('../invoke/environment.ts'),
  ])
  const binary = await findPlugin(plugin, path)
  const env = delegateEnvironment(command)
  return withDeadline({}, (deadline) => call({ command, plugin, path: binary, config, env, deadline }))
}
