import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { errors } from './errors.ts'
import type { Files, TemplateFile } from './template.ts'
import { instantiate } from './template.ts'
import type { Origin } from './update.ts'

const run = promisify(execFile)

/**
 * A package as it was made: by this version from its own templates, by another one in that it runs again, out of npm's cache
 * or the registry.
 * @throws PodwireError `NO_BASE`
 */
export async function baseOf({ answers, version }: Origin, own: string, signal: AbortSignal): Promise<Files> {
  if (version === own) return instantiate(answers, version)
  const scratch = await mkdtemp(join(tmpdir(), 'create-podwire-plugin-'))
  try {
    const { packageName, description, kind, language } = answers
    const made = join(scratch, 'package')
    const flags = [
      '--name',
      packageName,
      '--description',
      description,
      '--kind',
      kind,
      '--language',
      language,
    ]
    const command = ['create-podwire-plugin', made, '--yes', ...flags]
    const spec = `--package=create-podwire-plugin@${version}`
    await run('npm', ['exec', '--yes', '--prefer-offline', spec, '--', ...command], {
      cwd: scratch,
      signal,
      timeout: 120_000,
    })
    return await readFiles(made)
  } catch (cause) {
    throw errors.NO_BASE({ version }, cause)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function readFiles(dir: string): Promise<Files> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const files = new Map<string, TemplateFile>()
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const text = await readFile(path, 'utf8')
    files.set(path.slice(dir.length + 1), { text, isExecutable: text.startsWith('#!') })
  }
  return files
}
