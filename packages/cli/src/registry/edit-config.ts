import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import { extname } from 'node:path'
import type { Document } from 'yaml'

/** What is to become of a configuration file. */
export interface ConfigEdit {
  /** Keys of `plugins` that get a place for options, where they have none. */
  readonly addOptions?: readonly string[]
  /** Keys of `plugins` to take out. */
  readonly removeOptions?: readonly string[]
  readonly networkPlugin?: string
}

/**
 * Edits a JSON or YAML configuration, whose comments and order stay.
 * @returns whether anything was written; a string says what a person has to write into a file that is a program
 */
export async function editConfig(file: string, edit: ConfigEdit): Promise<boolean | string> {
  const format = extname(file).slice(1)
  if (format !== 'json' && format !== 'yaml' && format !== 'yml') return linesToWrite(edit)
  const text = await readFile(file, 'utf8')
  const edited = format === 'json' ? editJson(text, edit) : await editYaml(text, edit)
  if (edited === text) return false
  // Another process that reads it sees the old one or the new one.
  const { mode } = await stat(file)
  const unfinished = `${file}.${process.pid}.tmp`
  await writeFile(unfinished, edited, { mode: mode & 0o777 })
  await rename(unfinished, file)
  return true
}

function editJson(text: string, { addOptions = [], removeOptions = [], networkPlugin }: ConfigEdit): string {
  // It was read as a configuration before, and so is an object.
  const config = JSON.parse(text) as Record<string, unknown>
  const before = config['plugins']
  const plugins = { ...(before as Record<string, unknown> | undefined) }
  for (const key of addOptions) plugins[key] ??= {}
  for (const key of removeOptions) delete plugins[key]
  const edited = {
    ...config,
    ...(networkPlugin === undefined ? {} : { networkPlugin }),
    ...(before === undefined && Object.keys(plugins).length === 0 ? {} : { plugins }),
  }
  if (JSON.stringify(edited) === JSON.stringify(config)) return text
  const [, indent = '  '] = /\n([ \t]+)/.exec(text) ?? []
  return `${JSON.stringify(edited, null, indent)}\n`
}

async function editYaml(text: string, edit: ConfigEdit): Promise<string> {
  const { isMap, parseDocument } = await import('yaml')
  const { addOptions = [], removeOptions = [], networkPlugin } = edit
  const document: Document = parseDocument(text)
  if (networkPlugin !== undefined && document.get('networkPlugin') !== networkPlugin)
    document.set('networkPlugin', networkPlugin)
  // `plugins:` with nothing behind it is no map yet.
  const hasPlugins = isMap(document.get('plugins'))
  if (!hasPlugins && addOptions.length > 0) document.set('plugins', document.createNode({}))
  for (const key of addOptions)
    if (!document.hasIn(['plugins', key])) document.setIn(['plugins', key], document.createNode({}))
  for (const key of hasPlugins ? removeOptions : []) document.deleteIn(['plugins', key])
  const edited = document.toString({ lineWidth: 0 })
  return edited === document.toString.call(parseDocument(text), { lineWidth: 0 }) ? text : edited
}

function linesToWrite({ addOptions = [], removeOptions = [], networkPlugin }: ConfigEdit): string {
  const quoted = (text: string) => `'${text}'`
  return [
    ...(networkPlugin === undefined ? [] : [`networkPlugin: ${quoted(networkPlugin)},`]),
    ...addOptions.map((key) => `plugins: { ${quoted(key)}: {} },`),
    ...removeOptions.map((key) => `(take ${quoted(key)} out of plugins)`),
  ].join('\n')
}
