import type { Command } from '../invoke/environment.ts'
import type { JsonObject } from '../json.ts'
import { convertResult } from '../result/convert.ts'
import type { Result } from '../result/result.ts'
import type { CniEnvironment } from './environment.ts'

/** Runs another plugin from CNI_PATH in this plugin's environment, with this plugin's configuration unless given one. */
export interface Delegate {
  add(plugin: string, config?: JsonObject): Promise<Result>
  check(plugin: string, config?: JsonObject): Promise<void>
  del(plugin: string, config?: JsonObject): Promise<void>
  gc(plugin: string, config?: JsonObject): Promise<void>
  status(plugin: string, config?: JsonObject): Promise<void>
}

/** @param env of the plugin that delegates @param path where plugins are found */
export function delegateWith(own: JsonObject, env: CniEnvironment, path: readonly string[]): Delegate {
  const without = (command: Command) => async (plugin: string, config?: JsonObject) => {
    await run(command, plugin, config ?? own, { env, path })
  }
  return {
    add: async (plugin, config) => convertResult(await runAdd(plugin, config ?? own, { env, path }), '1.1.0'),
    check: without('CHECK'),
    del: without('DEL'),
    gc: without('GC'),
    status: without('STATUS'),
  }
}

interface Surroundings {
  readonly env: CniEnvironment
  readonly path: readonly string[]
}

async function runAdd(plugin: string, config: JsonObject, surroundings: Surroundings) {
  const { callForResult } = await import('../invoke/call-plugin.ts')
  return prepare('ADD', plugin, config, surroundings, callForResult)
}

async function run(command: Command, plugin: string, config: JsonObject, surroundings: Surroundings) {
  const { callPlugin } = await import('../invoke/call-plugin.ts')
  return prepare(command, plugin, config, surroundings, callPlugin)
}

// What runs processes is loaded only by plugins that delegate.
async function prepare<Answer>(
  command: Command,
  plugin: string,
  config: JsonObject,
  { env: own, path }: Surroundings,
  call: (call: import('../invoke/call-plugin.ts').PluginCall) => Promise<Answer>,
): Promise<Answer> {
  const [{ findPlugin }, { withDeadline }, { delegateEnvironment }] = await Promise.all([
    import('../invoke/find-plugin.ts'),
    import('../invoke/deadline.ts'),
    import('../invoke/environment.ts'),
  ])
  const binary = await findPlugin(plugin, path)
  const env = delegateEnvironment(command, own)
  return withDeadline({}, (deadline) => call({ command, plugin, path: binary, config, env, deadline }))
}
