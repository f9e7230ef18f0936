import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A plugin of these tests, written in JavaScript. */
export type TestPlugin = 'interface' | 'chained' | 'ipam'

/** Executables made for a test. */
export interface PluginFiles {
  readonly directory: string
  /** Makes `test-interface`, `test-chained` or `test-ipam`; it breaks the rule of this ID. Returns its path. */
  plugin(plugin: TestPlugin, breaks?: string, name?: string): Promise<string>
  /** Makes an executable of this text. */
  script(name: string, text: string): Promise<string>
  file(name: string, content: unknown): Promise<string>
  remove(): Promise<void>
}

// The runner starts its own node in namespaces; what it was before is in this variable.
const node = process.env['PODWIRE_TEST_NODE'] ?? process.execPath

export async function pluginFiles(): Promise<PluginFiles> {
  const directory = await mkdtemp(join(tmpdir(), 'podwire-cni-kit-'))
  await chmod(directory, 0o755)
  await mkdir(join(directory, 'files'))
  const script = async (name: string, text: string) => {
    const path = join(directory, name)
    await writeFile(path, text, { mode: 0o755 })
    return path
  }
  return {
    directory,
    script,
    plugin(plugin, breaks = '', name = `test-${plugin}`) {
      const source = fileURLToPath(new URL(`plugins/${plugin}.mjs`, import.meta.url))
      return script(name, `#!/bin/sh\nBREAKS='${breaks}' exec '${node}' '${source}'\n`)
    },
    async file(name, content) {
      const path = join(directory, 'files', name)
      await writeFile(path, JSON.stringify(content))
      return path
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}
