import { dirname, resolve } from 'node:path'
import { DEFAULT_PLUGIN_NAME, type InitOptions, type Policy, parseDuration } from '@podwire/api'
import type * as z from 'zod/mini'
import { type ConfigProblem, errors } from '../errors.ts'
import { nearest } from '../nearest.ts'
import { normalisePolicy, policyKeysAt } from '../policy/schema.ts'
import { issueMessage } from '../zod-issue.ts'
import { type ClusterConfig, clusterKeysAt, completeCluster } from './cluster.ts'
import { defaults } from './defaults.ts'
import type { Isolation } from './isolation.ts'
import { configSchema, type PodwireConfig } from './schema.ts'

/** How long each operation of a plugin may take, in milliseconds. */
export interface Deadlines {
  readonly init: number
  readonly event: number
  readonly setUpPod: number
  readonly tearDownPod: number
  readonly getPodNetworkStatus: number
  readonly status: number
  readonly checkPod: number
  readonly collectGarbage: number
}

/** A configuration that was checked: every key there, durations in milliseconds, paths absolute. */
export interface Config extends Omit<InitOptions, 'resident'> {
  /** A qualified name; the no-op plugin's where the configuration names none. */
  readonly networkPlugin: string
  /** Empty: none; else one CIDR, or one of each family separated by a comma. */
  readonly podCIDR: string
  readonly plugins: Readonly<Record<string, unknown>>
  readonly discovery: {
    /** Absolute, or glob patterns of absolute paths. */
    readonly paths: readonly string[]
    readonly packages: readonly string[]
  }
  /** Absent: as the program that runs the host has it by default. */
  readonly isolation?: Isolation | undefined
  readonly onMissingCapability: 'error' | 'warn'
  /** Of pods, as far as they have none of their own. */
  readonly policy?: Policy
  /** Absent: this host's network is its own. */
  readonly cluster?: ClusterConfig
  readonly deadlines: Deadlines
  readonly stateDir: string
}

/** What a program may set for hosts without a configuration. */
export interface ProgramConfig {
  readonly networkPlugin?: string
  readonly podCIDR?: string
}

/** Types a configuration file: `export default defineConfig({ networkPlugin: 'kubenet' })`. */
export function defineConfig(config: PodwireConfig): PodwireConfig {
  return config
}

/**
 * Checks a configuration and fills in what was left out.
 * @param file names the source in errors, and its directory resolves relative paths; without one, `dir` does
 * @throws PodwireError `CONFIG_INVALID` with everything that is wrong
 */
export function parseConfig(
  input: unknown,
  file: string | undefined,
  dir = file ? dirname(file) : '.',
): Config {
  const parsed = configSchema().safeParse(input, { reportInput: true })
  if (!parsed.success) {
    const problems = parsed.error.issues.flatMap(describeIssue)
    const named = stateDirOf(input)
    throw errors.CONFIG_INVALID({
      file,
      problems,
      ...(named === undefined ? {} : { stateDir: resolve(dir, named) }),
    })
  }
  const { $schema: _, ...checked } = parsed.data
  return complete(checked, dir)
}

/** What holds where there is no configuration: the program's own settings, which nobody outside wrote. */
export function standardConfig(own: ProgramConfig, dir: string): Config {
  return complete({ ...defaults, plugins: {}, discovery: { paths: [], packages: [] }, ...own }, dir)
}

function complete(
  {
    discovery,
    deadlines,
    stateDir,
    policy,
    cluster,
    ...rest
  }: Omit<z.output<ReturnType<typeof configSchema>>, '$schema'>,
  dir: string,
): Config {
  const absolute = (path: string) =>
    path.startsWith('!') ? `!${resolve(dir, path.slice(1))}` : resolve(dir, path)
  return {
    ...rest,
    networkPlugin: rest.networkPlugin || DEFAULT_PLUGIN_NAME,
    ...(policy ? { policy: normalisePolicy(policy) } : {}),
    ...(cluster ? { cluster: completeCluster(cluster, dir) } : {}),
    discovery: { paths: discovery.paths.map(absolute), packages: discovery.packages.map(absolute) },
    deadlines: mapValues(deadlines, (duration) => parseDuration(duration) ?? 0),
    stateDir: resolve(dir, stateDir),
  }
}

function stateDirOf(input: unknown): string | undefined {
  const named =
    typeof input === 'object' && input !== null && 'stateDir' in input ? input.stateDir : undefined
  return typeof named === 'string' && named !== '' ? named : undefined
}

function describeIssue(issue: z.core.$ZodIssue): ConfigProblem[] {
  const path = formatPath(issue.path)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: formatPath([...issue.path, key]),
      message: unknownKey(key, issue.path),
    }))
  }
  return [{ path, message: issueMessage(issue) }]
}

function unknownKey(key: string, path: readonly PropertyKey[]): string {
  const valid = keysAt(path)
  const guess = nearest(key, valid)
  return `unknown key${guess ? `; did you mean "${guess}"?` : ''} Valid here: ${valid.join(', ')}`.replace(
    'key Valid',
    'key. Valid',
  )
}

// Only the top and some of its keys are objects of fixed keys.
function keysAt([key, ...rest]: readonly PropertyKey[]): string[] {
  if (key === 'policy') return policyKeysAt(rest)
  if (key === 'cluster') return clusterKeysAt(rest)
  const { discovery, deadlines } = configSchema().shape
  if (key === 'discovery') return Object.keys(discovery.def.innerType.shape)
  if (key === 'deadlines') return Object.keys(deadlines.def.innerType.shape)
  return Object.keys(configSchema().shape).filter((name) => name !== '$schema')
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    return text ? `${text}.${String(part)}` : String(part)
  }, '')
}

function mapValues<K extends string, A, B>(
  object: Readonly<Record<K, A>>,
  map: (value: A) => B,
): Record<K, B> {
  // Object.entries forgets the type of the keys.
  return Object.fromEntries(Object.entries<A>(object).map(([key, value]) => [key, map(value)])) as Record<
    K,
    B
  >
}
