import { configJsonSchema } from '@podwire/core'
import { loadConfiguration } from '../configuration.ts'
import type { GlobalFlags } from '../flags.ts'

/** `podwire config check` */
export async function checkConfig(flags: GlobalFlags): Promise<void> {
  const { file, dir } = await loadConfiguration(flags)
  console.log(file ? `${file}: ok` : `No configuration from ${dir} upwards: what podwire init writes holds.`)
}

/** `podwire config print` */
export async function printConfig(flags: GlobalFlags): Promise<void> {
  const { config } = await loadConfiguration(flags)
  console.log(JSON.stringify(config, null, 2))
}

/** `podwire config schema` */
export async function printSchema(): Promise<void> {
  console.log(JSON.stringify(configJsonSchema(), null, 2))
}
