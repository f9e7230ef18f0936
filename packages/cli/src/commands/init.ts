import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { errnoOf } from '@podwire/api'
import { Option } from 'commander'
import { command, type DefineCommand } from '../command.ts'
import { errors } from '../errors.ts'
import type { GlobalFlags } from '../flags.ts'
import { print } from '../output.ts'
import { starter } from '../starter.ts'

const formats = ['json', 'yaml', 'ts'] as const
type Format = (typeof formats)[number]

type Flags = GlobalFlags & { format?: Format; force?: boolean }

const define: DefineCommand = (does) =>
  command('init', 'write a starter configuration', 'podwire init --format yaml')
    .addOption(
      new Option('--format <format>', 'of the file (default: json, or as --config ends)').choices(formats),
    )
    .option('--force', 'write over an existing file')
    .action(does(init))
export default define

/** Beside a JSON or YAML configuration: what editors check it with, the options of installed plugins among it. */
const SCHEMA_FILE = 'podwire.schema.json'

async function init({ config, format, force = false }: Flags): Promise<void> {
  const file = resolve(config ?? `podwire.config.${format ?? 'json'}`)
  const written = formatOf(file, format)
  const other = await configurationBeside(file)
  if (other) throw errors.OTHER_CONFIGURATION({ file, other })
  const text = contents[written](await starter())
  await writeFile(file, text, { flag: force ? 'w' : 'wx' }).catch((error: unknown) => {
    throw errnoOf(error) === 'EEXIST' ? errors.FILE_EXISTS({ file }) : error
  })
  print(`Wrote ${file}. See what it finds with: podwire plugins`)
  if (written === 'ts') return
  const { configurationSchema } = await import('../configuration-schema.ts')
  const schema = join(dirname(file), SCHEMA_FILE)
  await writeFile(
    schema,
    `${JSON.stringify(await configurationSchema({ config: file }, 'configured'), null, 2)}\n`,
  )
  print(
    `Wrote ${schema}, for editors. Write it again after installing a plugin: podwire config schema > ${SCHEMA_FILE}`,
  )
}

function formatOf(file: string, asked: Format | undefined): Format {
  const endings: Readonly<Record<string, Format>> = {
    json: 'json',
    yaml: 'yaml',
    yml: 'yaml',
    ts: 'ts',
    mts: 'ts',
  }
  const found = endings[extname(file).slice(1)]
  if (found && (asked ?? found) === found) return found
  const expected = asked ? `a name that ends in .${asked}` : 'a name that ends in .json, .yaml or .ts'
  throw errors.USAGE({ what: '--config', value: file, expected })
}

/** A configuration of another format, or in another place where a search finds it first. */
async function configurationBeside(file: string): Promise<string | undefined> {
  const { CONFIG_EXTENSIONS } = await import('@podwire/core')
  const [name] = /^podwire\.config(?=\.)/.exec(basename(file)) ?? []
  if (name === undefined) return undefined
  return CONFIG_EXTENSIONS.map((extension) => join(dirname(file), `${name}.${extension}`)).find(
    (other) => other !== file && existsSync(other),
  )
}

type Starter = Awaited<ReturnType<typeof starter>>

const comments: Readonly<Record<keyof Starter, string>> = {
  networkPlugin: 'Which plugin sets pods up. What there is: podwire plugins',
  podCIDR:
    'Where pods get their addresses from: a range that was free. For both families: 10.88.0.0/16,fd00:88::/64',
  hairpinMode:
    'How a pod reaches itself through a port that it publishes: hairpin-veth, promiscuous-bridge or none',
  nonMasqueradeCIDR: "Destinations that see a pod's own address; all others see the host's",
  mtu: "Of pods' interfaces, in bytes; 0: the plugin chooses",
  plugins: 'Options of each plugin package, by its name',
}

function commented(config: Starter, mark: string, entry: (key: string, value: unknown) => string): string {
  const lines = Object.entries(config).map(
    // Object.entries forgets the type of the keys.
    ([key, value]) => `${mark} ${comments[key as keyof Starter]}\n${entry(key, value)}\n`,
  )
  return lines.join('')
}

const contents: Readonly<Record<Format, (config: Starter) => string>> = {
  json: (config) => `${JSON.stringify({ $schema: `./${SCHEMA_FILE}`, ...config }, null, 2)}\n`,
  // JSON is YAML.
  yaml: (config) =>
    `# yaml-language-server: $schema=./${SCHEMA_FILE}\n${commented(config, '#', (key, value) => `${key}: ${typeof value === 'object' ? `\n  ${config.networkPlugin}: {}` : String(value)}`.replace(': \n', ':\n'))}`,
  // The types alone are imported, so that it runs wherever podwire is installed.
  ts: (config) => `import type { PodwireConfig } from 'podwire'

export default {
${commented(config, '  //', (key, value) => `  ${key}: ${typeof value === 'object' ? `{ ${config.networkPlugin}: {} }` : typeof value === 'string' ? `'${value}'` : String(value)},`)}} satisfies PodwireConfig
`,
}
