import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { messageOf } from '@podwire/api'
import { errors } from '../errors.ts'
import { isObject, type JsonObject, tryParse } from '../kernel-state/json.ts'
import type { Target } from './messages.ts'
import type { PluginConformanceOptions } from './options.ts'

/** Where the network of the test keeps what a host keeps. */
const stateDir = '/run/podwire/plugins/under-test'

/**
 * What to test.
 * @throws PodwireError `NO_PACKAGE`
 */
export async function readTarget(options: PluginConformanceOptions): Promise<Target> {
  const { deadlineMs = 30_000, graceMs = 5_000, isolation = 'none', plugin, pod, podCIDR, loader } = options
  const dir = pathOf(options.dir)
  const packageJson = await readPackageJson(join(dir, 'package.json'))
  const module = loader ? undefined : options.module ? urlOf(options.module) : entryOf(dir, packageJson)
  return {
    dir,
    packageJson,
    stateDir,
    deadlineMs,
    graceMs,
    isolation,
    options: options.options,
    ...(module === undefined ? {} : { module }),
    ...(plugin === undefined ? {} : { plugin }),
    ...(pod === undefined ? {} : { pod }),
    ...(podCIDR === undefined ? {} : { podCIDR }),
    ...(loader === undefined ? {} : { loader }),
  }
}

/**
 * What Node is called with so that it runs the target: nothing, or a loader for TypeScript.
 * @throws PodwireError `NO_TYPESCRIPT`
 */
export function nodeArgumentsFor({ dir, module = '' }: Target): string[] {
  const inherited = isSource ? ['--conditions=podwire-source'] : []
  const runsTypeScript = Reflect.get(process.features, 'typescript') !== undefined
  const needsLoader = isSource || (/\.[cm]?ts$/.test(module) && !runsTypeScript)
  if (!needsLoader) return inherited
  for (const from of [join(dir, 'package.json'), import.meta.url]) {
    const loader = resolveFrom(from)
    if (loader !== undefined) return [...inherited, '--import', pathToFileURL(loader).href]
  }
  throw errors.NO_TYPESCRIPT({ module })
}

function resolveFrom(file: string): string | undefined {
  try {
    return createRequire(file).resolve('tsx')
  } catch {
    return undefined
  }
}

async function readPackageJson(file: string): Promise<JsonObject> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw errors.NO_PACKAGE({ file, reason: messageOf(error) }, error)
  })
  const parsed = tryParse(text)
  if (!isObject(parsed)) throw errors.NO_PACKAGE({ file, reason: 'it is not a JSON object' })
  return parsed
}

/** The file that `import` of the package reads; undefined where its package.json names none. */
function entryOf(dir: string, { exports, main }: JsonObject): string | undefined {
  const root = isObject(exports) && '.' in exports ? exports['.'] : exports
  const file = root === undefined ? (main ?? 'index.js') : choose(root)
  return typeof file === 'string' ? pathToFileURL(join(dir, file)).href : undefined
}

// This kit runs from its source in its own workspace alone, and reads its neighbours' there.
const isSource = import.meta.url.endsWith('.ts')
const conditions = [...(isSource ? ['podwire-source'] : []), 'import', 'module-sync', 'node', 'default']

function choose(exports: unknown): unknown {
  if (!isObject(exports)) return exports
  const key = Object.keys(exports).find((condition) => conditions.includes(condition))
  return key === undefined ? undefined : choose(exports[key])
}

function pathOf(file: string | URL): string {
  return file instanceof URL || file.startsWith('file:') ? fileURLToPath(file) : resolve(file)
}

function urlOf(file: string | URL): string {
  return pathToFileURL(pathOf(file)).href
}
