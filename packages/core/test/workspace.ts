import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll } from 'vitest'

/** A directory of a test's own, removed after all tests of the file. */
export interface Workspace {
  readonly dir: string
  /** Writes a file below the directory and returns its path; what is no string is written as JSON. */
  write(path: string, content: unknown): Promise<string>
  link(path: string, target: string): Promise<void>
  /** Writes a plugin package into a `node_modules` and returns its directory. */
  plugin(name: string, plugin?: PluginFiles): Promise<string>
}

interface PluginFiles {
  /** Default: the test's own. */
  readonly nodeModules?: string
  readonly manifest?: unknown
  readonly version?: string
  /** The source of its module. */
  readonly code?: string
}

const made: string[] = []

afterAll(async () => {
  await Promise.all(made.splice(0).map((dir) => rm(dir, { recursive: true, force: true })))
})

export async function workspace(): Promise<Workspace> {
  const dir = await mkdtemp(join(tmpdir(), 'podwire-'))
  made.push(dir)
  const write: Workspace['write'] = async (path, content) => {
    const file = join(dir, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content))
    return file
  }
  return {
    dir,
    write,
    link: async (path, target) => {
      await mkdir(dirname(join(dir, path)), { recursive: true })
      await symlink(target, join(dir, path))
    },
    plugin: async (
      name,
      { nodeModules = 'node_modules', manifest = { apiVersion: 1 }, version = '1.0.0', code } = {},
    ) => {
      const at = `${nodeModules}/${name}`
      await write(`${at}/package.json`, {
        name,
        version,
        type: 'module',
        exports: './index.js',
        podwire: manifest,
      })
      await write(`${at}/index.js`, code ?? offering('mock'))
      return join(dir, at)
    },
  }
}

/** The source of a package that offers plugins which do nothing; `body` may replace methods of theirs. */
export function offering(name: string, body = ''): string {
  return `
    const plugin = (name) => ({
      name,
      init: async () => {}, event: async () => {}, capabilities: () => 0,
      setUpPod: async () => ({ ip: '192.0.2.7' }), tearDownPod: async () => {},
      getPodNetworkStatus: async () => undefined, status: async () => {},
      ${body}
    })
    export default { apiVersion: 1, probe: () => [plugin(${JSON.stringify(name)})] }
  `
}
