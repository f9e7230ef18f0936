import { createRequire } from 'node:module'
import { devNull, tmpdir } from 'node:os'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** How a plugin's process is started. */
export interface NodeCommand {
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

/** What JavaScript may take in a plugin's process. */
export const heapMiB = 256

// As this package itself runs.
const isSource = import.meta.url.endsWith('.ts')

/** The program of child.ts; wherever this is bundled into, the package it came from is installed beside. */
function program(): string {
  if (isSource) return fileURLToPath(new URL('./child.ts', import.meta.url))
  return createRequire(import.meta.url).resolve('@podwire/core/isolated-child')
}

/** @param stateDir the package's own directory */
export function nodeCommand(stateDir: string): NodeCommand {
  const limits = [`--max-old-space-size=${heapMiB}`, ...permissions(stateDir)]
  return { args: [...limits, ...sourceArguments(), program()], env: environment() }
}

// What a program of any language expects, and nothing that a host's operator may have put beside it: keys and passwords
// are what environments are used for, and NODE_OPTIONS would be the host's.
const kept = /^(?:PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR)$/

function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => kept.test(name)))
}

// Where network plugins have to write: the kernel's settings, names of network namespaces, leases, locks.
const writable = ['/dev/*', '/proc/*', '/run/*', '/sys/*', '/var/lib/*', '/var/run/*', devNull]

/**
 * Node's permission model, where it is no experiment. It keeps a plugin that errs from files that are none of its
 * business. It doesn't keep one that means it: a network plugin needs native code and other programs, which know no
 * permissions of Node's.
 */
function permissions(stateDir: string): string[] {
  const has = (flag: string) => process.allowedNodeEnvironmentFlags.has(flag)
  if (!has('--permission')) return []
  return [
    '--permission',
    '--allow-fs-read=*',
    ...[...writable, `${stateDir}*`, `${tmpdir()}/*`].map((path) => `--allow-fs-write=${path}`),
    ...['--allow-addons', '--allow-child-process', '--allow-worker', '--allow-net'].filter(has),
  ]
}

function sourceArguments(): string[] {
  if (!isSource) return []
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  return ['--conditions=podwire-source', '--import', loader]
}
