import type { LoadedConfig } from '../config/load.ts'
import {
  type PluginStart,
  type RunningPlugin,
  type StartContext,
  startConfigured,
  startRecorded,
} from './start-plugin.ts'

interface RecordedPlugin {
  readonly plugin: string
  readonly pluginStart: PluginStart
}

/** The plugins that run in a host: the configured one, and those that earlier configurations set pods up by. */
export function startedPlugins(context: StartContext, { config, file, dir }: LoadedConfig) {
  let active: Promise<RunningPlugin> | undefined
  const recorded = new Map<string, Promise<RunningPlugin>>()

  const once = (plugin: Promise<RunningPlugin>, forget: () => void) => {
    // The next who needs it tries again.
    plugin.catch(forget)
    return plugin
  }
  const startActive = () => {
    active ??= once(startConfigured(context, config, file === undefined ? undefined : dir), () => {
      active = undefined
    })
    return active
  }

  const running = async () => {
    const ended = await Promise.allSettled([...(active ? [active] : []), ...recorded.values()])
    return ended.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  }

  return {
    active: startActive,
    /** Of the plugin that a record names. */
    managerOf: async ({ plugin, pluginStart }: RecordedPlugin) => {
      const configured = await active
      if (configured?.manager.name === plugin) return configured.manager
      const key = JSON.stringify(pluginStart)
      const other =
        recorded.get(key) ?? once(startRecorded(context, pluginStart), () => void recorded.delete(key))
      recorded.set(key, other)
      return (await other).manager
    },
    reset: async (name: string) => {
      const named = (await running()).filter(({ manager }) => manager.name === name)
      return (await Promise.all(named.map(({ reset }) => reset()))).includes(true)
    },
    close: async () => {
      await Promise.all((await running()).map(({ manager }) => manager.close()))
    },
  }
}
