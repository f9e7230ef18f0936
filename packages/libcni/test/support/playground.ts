import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Attachment,
  type CNI,
  type CniError,
  createCni,
  isCniError,
  type JsonObject,
} from '@podwire/libcni'

/** How a scripted plugin was called. */
export interface RecordedCall {
  readonly plugin: string
  readonly command: string
  readonly stdin: string
  readonly config: JsonObject
  readonly env: Readonly<Record<string, string>>
}

/** Directories for plugins, configurations and cache, and a CNI on them. */
export interface Playground {
  readonly directory: string
  readonly plugins: string
  readonly cache: string
  readonly configs: string
  readonly cni: CNI
  /** Installs the scripted plugin under a name; `scripts` say in sh what it does for a command. */
  install(name: string, scripts?: Readonly<Record<string, string>>): Promise<string>
  /** The calls so far, in order. */
  calls(): Promise<RecordedCall[]>
  /** `plugin COMMAND` for each call so far. */
  order(): Promise<string[]>
  cacheFiles(): Promise<string[]>
  remove(): Promise<void>
}

export const attachment: Attachment = { containerId: 'c1', ifName: 'eth0', netns: '/run/netns/c1' }

export async function playground(options: { rollbackDeadlineMs?: number } = {}): Promise<Playground> {
  const directory = await mkdtemp(join(tmpdir(), 'podwire-libcni-'))
  const at = (name: string) => join(directory, name)
  const [plugins, cache, configs] = [at('plugins'), at('cache'), at('configs')]
  await mkdir(join(plugins, 'calls'), { recursive: true })
  await mkdir(configs)
  const calls = () => readCalls(join(plugins, 'calls'))
  return {
    directory,
    plugins,
    cache,
    configs,
    cni: createCni({ pluginDirectories: [plugins], cacheDirectory: cache, ...options }),
    async install(name, scripts = {}) {
      const path = join(plugins, name)
      await copyFile(new URL('scripted-plugin.sh', import.meta.url), path)
      await chmod(path, 0o755)
      for (const [command, script] of Object.entries(scripts)) await writeFile(`${path}.${command}`, script)
      return path
    },
    calls,
    order: async () => (await calls()).map(({ plugin, command }) => `${plugin} ${command}`),
    cacheFiles: async () =>
      (await readdir(join(cache, 'results')).catch(() => [])).filter((name) => !name.startsWith('.')).sort(),
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}

/** The error that a promise rejects with; it must be one of this package's. */
export async function failureOf(promise: Promise<unknown>): Promise<CniError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if ('value' in outcome) throw new Error(`expected a failure, got ${JSON.stringify(outcome.value)}`)
  if (!isCniError(outcome.error)) throw outcome.error
  return outcome.error
}

async function readCalls(directory: string): Promise<RecordedCall[]> {
  const log = await readFile(join(directory, 'log'), 'utf8').catch(() => '')
  const lines = log.split('\n').filter((line) => line !== '')
  return Promise.all(
    lines.map(async (line) => {
      const [pid = '', plugin = '', command = ''] = line.split(' ')
      const stdin = await readFile(join(directory, `${pid}.stdin`), 'utf8')
      const env = parseExports(await readFile(join(directory, `${pid}.env`), 'utf8'))
      return { plugin, command, stdin, config: stdin.startsWith('{') ? JSON.parse(stdin) : {}, env }
    }),
  )
}

// `export NAME='value'`, as `export -p` of a POSIX shell prints it.
function parseExports(text: string): Record<string, string> {
  const matches = text.matchAll(/^export (\w+)='((?:[^']|'"'"')*)'$/gm)
  return Object.fromEntries([...matches].map(([, name, value]) => [name, value!.replaceAll(`'"'"'`, "'")]))
}
