import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileExists } from '../errors.ts'

type Format = 'json' | 'yaml' | 'ts'

const starter = { networkPlugin: 'kubenet', podCIDR: '10.88.0.0/16' }

const contents: Record<Format, () => string> = {
  json: () => `${JSON.stringify(starter, null, 2)}\n`,
  yaml: () => `# Which plugin sets pods up, and where their addresses come from.
networkPlugin: ${starter.networkPlugin}
podCIDR: ${starter.podCIDR}
`,
  ts: () => `import { defineConfig } from 'podwire'

export default defineConfig({
  networkPlugin: '${starter.networkPlugin}',
  podCIDR: '${starter.podCIDR}',
})
`,
}

/** `podwire init`: writes podwire.config.FORMAT here. */
export async function init({ format, force = false }: { format: Format; force?: boolean }): Promise<void> {
  const file = resolve(`podwire.config.${format}`)
  await writeFile(file, contents[format](), { flag: force ? 'w' : 'wx' }).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw fileExists({ file })
    throw error
  })
  console.log(`Wrote ${file}. See what it finds with: podwire plugins`)
}
