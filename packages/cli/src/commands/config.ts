import { configJsonSchema, loadConfig } from '@podwire/core'
import type { GlobalFlags } from '../flags.ts'

const load = ({ config }: GlobalFlags) => loadConfig(config === undefined ? {} : { file: config })

/** `podwire config check` */
export async function checkConfig(flags: GlobalFlags): Promise<void> {
  const { file, dir } = await load(flags)
  console.log(file ? `${file}: ok` : `No configuration from ${dir} upwards: the defaults hold.`)
}

/** `podwire config print` */
export async function printConfig(flags: GlobalFlags): Promise<void> {
  const { config } = await load(flags)
  console.log(JSON.stringify(config, null, 2))
}

/** `podwire config schema` */
export async function printSchema(): Promise<void> {
  console.log(JSON.stringify(configJsonSchema(), null, 2))
}
