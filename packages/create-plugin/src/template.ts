import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { escapePluginName } from '@podwire/api'
import type { Answers } from './answers.ts'
import { packageJson } from './package-json.ts'

/** A file of a package. */
export interface TemplateFile {
  readonly text: string
  readonly isExecutable: boolean
}

/** The files of a package, by their paths in it. */
export type Files = ReadonlyMap<string, TemplateFile>

const templates = fileURLToPath(new URL('../template', import.meta.url))

/** The package of these answers. Reads what comes with this package, and nothing else. */
export function instantiate(answers: Answers, version: string): Files {
  const { kind, language } = answers
  const layers = ['shared', language, `${kind}/shared`, `${kind}/${language}`]
  const values = valuesOf(answers)
  const files = new Map<string, TemplateFile>()
  for (const layer of layers) {
    for (const [path, file] of filesIn(join(templates, layer))) {
      // npm leaves a .gitignore out of every package.
      const written = filled(path, values).replace(/(^|\/)_gitignore$/, '$1.gitignore')
      files.set(written, { ...file, text: filled(file.text, values) })
    }
  }
  const text = `${JSON.stringify(packageJson(answers, version), null, 2)}\n`
  return files.set('package.json', { text, isExecutable: false })
}

function valuesOf({ packageName, pluginName, description, language }: Answers): Record<string, string> {
  return {
    packageName,
    pluginName,
    description,
    shortName: pluginName.split('/').at(-1) ?? pluginName,
    directoryName: escapePluginName(pluginName),
    ending: language === 'typescript' ? 'ts' : 'js',
  }
}

function filled(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\{\{(\w+)\}\}/g, (whole, key: string) => values[key] ?? whole)
}

function filesIn(dir: string): [string, TemplateFile][] {
  // A kind may have nothing that both languages share.
  if (!existsSync(dir)) return []
  const paths = readdirSync(dir, { recursive: true, encoding: 'utf8' })
  return paths.sort().flatMap((path): [string, TemplateFile][] => {
    if (!statSync(join(dir, path)).isFile()) return []
    const text = readFileSync(join(dir, path), 'utf8')
    // Not by its mode: pnpm packs without.
    return [[path, { text, isExecutable: text.startsWith('#!') }]]
  })
}
