import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { definePlugin, type NetworkPlugin, type PluginModule, type ProbeContext } from '@podwire/api'
import * as z from 'zod'
import { observe } from './observe.ts'

const options = z.strictObject({
  /** The package of the plugin to wrap, as the directory of the configuration sees it. */
  package: z.string(),
  /** Which of its plugins; default: its first. */
  plugin: z.string().optional(),
  /** Its options. */
  options: z.unknown().optional(),
})

type Options = z.output<typeof options>

/** `example.com/observer`: another plugin under this name; see the README. */
export default definePlugin({
  apiVersion: 1,
  options,
  probe: async (context) => [observe(await wrapped(context), context.stateDir)],
})

/** Loads the other package as a host does: imports it, checks its options, asks it for its plugins. */
async function wrapped(context: ProbeContext<Options>): Promise<NetworkPlugin> {
  const { options, configDir = process.cwd() } = context
  const file = createRequire(join(configDir, 'podwire.config.json')).resolve(options.package)
  const { default: module }: { default: PluginModule } = await import(pathToFileURL(file).href)
  const checked = await module.options?.['~standard'].validate(options.options ?? {})
  if (checked?.issues)
    throw new Error(
      `options of ${options.package}: ${checked.issues.map(({ message }) => message).join('; ')}`,
    )
  const plugins = await module.probe({ ...context, options: checked?.value })
  const found = plugins.find(({ name }) => options.plugin === undefined || name === options.plugin)
  if (found) return found
  throw new Error(
    `${options.package} has no plugin ${options.plugin ?? 'at all'}: ${plugins.map(({ name }) => name).join(', ')}`,
  )
}
