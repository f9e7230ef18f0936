import { createRequire } from 'node:module'
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

export function nodeCommand(): NodeCommand {
  const limits = [`--max-old-space-size=${heapMiB}`, ...permissions()]
  return { args: [...limits, ...sourceArguments(), program()], env: environment() }
}

// What a program of any language expects, and nothing that a host's operator may have put beside it: keys and passwords
// are what environments are used for, and NODE_OPTIONS would be the host's.
const kept = /^(?:PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR)$/

function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => kept.test(name)))
}

/**
 * Node's permission model, where it is no experiment: what is left out, a debugger above all, nobody can open in there. No
 * more than that: a network plugin needs native code and other programs, which know no permissions of Node's, and links
 * between files, for which Node wants all of the file system.
 */
function permissions(): string[] {
  const has = (flag: string) => process.allowedNodeEnvironmentFlags.has(flag)
  if (!has('--permission')) return []
  const needed = ['--allow-addons', '--allow-child-process', '--allow-worker', '--allow-net']
  // Node warns of each that is allowed, and of those that are new.
  const silent = ['SecurityWarning', 'ExperimentalWarning'].map((kind) => `--disable-warning=${kind}`)
  return [...silent, '--permission', '--allow-fs-read=*', '--allow-fs-write=*', ...needed.filter(has)]
}

function sourceArguments(): string[] {
  if (!isSource) return []
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  return ['--conditions=podwire-source', '--import', loader]
}
