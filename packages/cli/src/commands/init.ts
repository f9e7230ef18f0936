import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { STARTER_CONFIG } from '../configuration.ts'
import { fileExists } from '../errors.ts'

type Format = 'json' | 'yaml' | 'ts'

const contents: Record<Format, () => string> = {
  json: () => `${JSON.stringify(STARTER_CONFIG, null, 2)}\n`,
  yaml: () => `# Which plugin sets pods up, and where their addresses come from.
networkPlugin: ${STARTER_CONFIG.networkPlugin}
podCIDR: ${STARTER_CONFIG.podCIDR}
`,
  ts: () => `import { defineConfig } from 'podwire'

export default defineConfig({
  networkPlugin: '${STARTER_CONFIG.networkPlugin}',
  podCIDR: '${STARTER_CONFIG.podCIDR}',
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
