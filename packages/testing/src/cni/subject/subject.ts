import { constants } from 'node:fs'
import { access, readFile, stat } from 'node:fs/promises'
import { basename, delimiter, dirname, join, resolve } from 'node:path'
import { messageOf } from '@podwire/api'
import { isObject, type JsonObject, objects } from '../../kernel-state/json.ts'
import { errors } from './errors.ts'
import { type Profile, profiles, type Role } from './profiles.ts'

/** What to test. */
export interface SubjectOptions {
  /** A plugin's executable, or a file (.conflist, .conf, .json) with a network configuration. */
  readonly target: string
  /** A file with the configuration of the executable, where the kit has none for its type. */
  readonly config?: string
  /** What the (first) plugin is for. Default: known for usual plugins, else `interface`. */
  readonly role?: Role
  /** CNI_IFNAME. Default: `eth0`. */
  readonly ifName?: string
  /** Where plugins are found. Default: beside the executable, CNI_PATH, and the usual directories. */
  readonly cniPath?: readonly string[]
  /** Shell commands for the host, run before each rule in its namespaces: a link or a daemon that the plugin needs. */
  readonly prepare?: readonly string[]
}

/** One plugin of what is tested. */
export interface Plugin extends Profile {
  readonly type: string
  /** Absolute path of its executable. */
  readonly program: string
}

/** What is tested: a network of one plugin or of several in a row. */
export interface Subject {
  /** As it was named: a file. */
  readonly target: string
  /** The network's name. */
  readonly name: string
  readonly plugins: readonly [Plugin, ...Plugin[]]
  /** What the first plugin is for. */
  readonly role: Role
  readonly ifName: string
  readonly cniPath: readonly string[]
  readonly prepare: readonly string[]
  /** The versions that the configuration asks for; none: all that the plugins speak. */
  readonly configVersions: readonly string[]
  readonly disableCheck: boolean
  readonly disableGc: boolean
}

const usualDirectories = ['/opt/cni/bin', '/usr/lib/cni', '/usr/libexec/cni']

/**
 * Finds out what is to be tested.
 * @throws PodwireError `CNI_TEST_TARGET`, `CNI_TEST_CONFIG`, `CNI_TEST_NO_CONFIG`
 */
export async function readSubject(options: SubjectOptions): Promise<Subject> {
  const target = resolve(options.target)
  const given = options.cniPath ?? (process.env.CNI_PATH ?? '').split(delimiter).filter(Boolean)
  const file = await readTarget(target, options.target)
  const cniPath = [...(file === undefined ? [dirname(target)] : []), ...given, ...usualDirectories]
  const config =
    options.config === undefined ? undefined : await readJson(resolve(options.config), options.config)
  const plugins =
    file === undefined
      ? [pluginOf(basename(target), target, config, options.role)]
      : await pluginsOf(file, cniPath, options)
  const [first, ...rest] = plugins
  if (first === undefined)
    throw errors.CNI_TEST_TARGET({ target: options.target, reason: 'it has no plugins' })
  const network = file ?? config ?? {}
  return {
    target: options.target,
    name: typeof network['name'] === 'string' ? network['name'] : 'cni-test',
    plugins: [first, ...rest],
    role: first.role,
    ifName: options.ifName ?? first.ifName ?? 'eth0',
    cniPath,
    prepare: [...new Set(plugins.flatMap(({ prepare }) => prepare ?? [])), ...(options.prepare ?? [])],
    configVersions: file === undefined ? [] : versionsOf(file),
    disableCheck: isTrue(network['disableCheck']),
    disableGc: isTrue(network['disableGC']),
  }
}

async function pluginsOf(
  network: JsonObject,
  cniPath: readonly string[],
  { target, role }: SubjectOptions,
): Promise<Plugin[]> {
  const configs = 'plugins' in network ? objects(network['plugins']) : [network]
  return Promise.all(
    configs.map(async (config, index) => {
      const type = config['type']
      if (typeof type !== 'string' || type === '' || type.includes('/'))
        throw errors.CNI_TEST_TARGET({ target, reason: `its plugin ${index + 1} has no type` })
      const program = await findProgram(type, cniPath)
      if (program === undefined)
        throw errors.CNI_TEST_TARGET({
          target,
          reason: `there is no plugin ${type} in ${cniPath.join(', ')}`,
        })
      return pluginOf(type, program, config, index === 0 ? role : 'chained')
    }),
  )
}

function pluginOf(
  type: string,
  program: string,
  config: JsonObject | undefined,
  role: Role | undefined,
): Plugin {
  const profile = Object.hasOwn(profiles, type) ? profiles[type] : undefined
  if (!profile && !config) throw errors.CNI_TEST_NO_CONFIG({ type, known: Object.keys(profiles) })
  const ipam = isObject(config?.['ipam']) ? config['ipam']['type'] : undefined
  return {
    ...profile,
    role: role ?? profile?.role ?? (ipam === type ? 'ipam' : 'interface'),
    ...(config ? { config: () => config } : { config: profile?.config ?? (() => ({})) }),
    ...(ipam === 'static' ? { sameAddresses: true } : {}),
    type,
    // Not where a link leads to: some programs go by the name that they are called by.
    program,
  }
}

/** The file's JSON, or undefined where it is an executable. */
async function readTarget(path: string, target: string): Promise<JsonObject | undefined> {
  const stats = await stat(path).catch((error) => {
    throw errors.CNI_TEST_TARGET({ target, reason: messageOf(error) }, error)
  })
  if (!stats.isFile()) throw errors.CNI_TEST_TARGET({ target, reason: 'it is not a file' })
  if (/\.(conf|conflist|json)$/.test(path)) return readJson(path, target)
  if (await isExecutable(path)) return undefined
  throw errors.CNI_TEST_TARGET({
    target,
    reason: 'it is neither executable nor a .conflist, .conf or .json file',
  })
}

async function readJson(path: string, file: string): Promise<JsonObject> {
  let parsed: unknown
  try {
    parsed = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw errors.CNI_TEST_CONFIG({ file, reason: messageOf(error) }, error)
  }
  if (isObject(parsed)) return parsed
  throw errors.CNI_TEST_CONFIG({ file, reason: 'it is not a JSON object' })
}

/** The executable of a plugin type, first found first. */
export async function findProgram(type: string, directories: readonly string[]): Promise<string | undefined> {
  for (const directory of directories) {
    const path = join(directory, type)
    if (await isExecutable(path)) return path
  }
  return undefined
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

function versionsOf(network: JsonObject): string[] {
  const several = Array.isArray(network['cniVersions']) ? network['cniVersions'] : []
  return [...several, network['cniVersion']].filter((version) => typeof version === 'string')
}

// The spec says boolean; the string is older and libcni takes both.
function isTrue(value: unknown): boolean {
  return value === true || value === 'true'
}
