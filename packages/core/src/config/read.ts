import { readFile, stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf } from '@podwire/api'
import { errors } from '../errors.ts'
import { CONFIG_EXTENSIONS } from './find.ts'

/**
 * What a configuration file says, unchecked.
 * @throws PodwireError `CONFIG_UNREADABLE`
 */
export async function readConfig(file: string): Promise<unknown> {
  const format = extname(file).slice(1)
  if (format === 'json') return parseText(file, (text) => JSON.parse(text))
  if (format === 'yaml' || format === 'yml') {
    const { parse } = await import('yaml')
    return parseText(file, (text) => parse(text))
  }
  if (format === 'js' || format === 'mjs') return runModule(file, (url) => import(anew(url)))
  if (format === 'ts' || format === 'mts') {
    const { tsImport } = await import('tsx/esm/api')
    return runModule(file, (url) => tsImport(url, import.meta.url))
  }
  throw errors.CONFIG_UNREADABLE({
    file,
    reason: `its name must end in one of ${CONFIG_EXTENSIONS.join(', ')}`,
  })
}

const imported = new Map<string, number>()

/** Node keeps a module that was imported, and a daemon reads its configuration again. */
function anew(url: string): string {
  const times = imported.get(url) ?? 0
  imported.set(url, times + 1)
  return times === 0 ? url : `${url}?again=${times}`
}

async function parseText(file: string, parse: (text: string) => unknown): Promise<unknown> {
  const text = await readText(file).catch((cause: unknown) => {
    throw errors.CONFIG_UNREADABLE({ file, reason: `it can't be read: ${messageOf(cause)}` }, cause)
  })
  if (text.trim() === '')
    throw errors.CONFIG_UNREADABLE({ file, reason: 'it is empty. Write {} for the defaults.' })
  try {
    return parse(text)
  } catch (cause) {
    const reason = messageOf(cause).split('\n', 1)[0] ?? ''
    const format = extname(file).slice(1).toUpperCase()
    throw errors.CONFIG_UNREADABLE({ file, reason: `it is not ${format}: ${reason}` }, cause)
  }
}

// A pipe or a device would be waited for, and not end.
async function readText(file: string): Promise<string> {
  if (!(await stat(file)).isFile()) throw new Error('it is not a regular file')
  return readFile(file, 'utf8')
}

async function runModule(file: string, load: (url: string) => Promise<unknown>): Promise<unknown> {
  // The text is read for its errors: a loader's would name itself first.
  await parseText(file, () => undefined)
  let loaded: unknown
  try {
    loaded = await load(pathToFileURL(file).href)
  } catch (cause) {
    throw errors.CONFIG_UNREADABLE({ file, reason: `it failed to run: ${messageOf(cause)}` }, cause)
  }
  const exported = defaultExport(loaded)
  if (exported === undefined) {
    throw errors.CONFIG_UNREADABLE({
      file,
      reason: 'it has no default export. Write: export default defineConfig({ … })',
    })
  }
  return exported
}

// A file compiled as CommonJS wraps its default export once more.
function defaultExport(loaded: unknown): unknown {
  const own = isObject(loaded) ? loaded['default'] : undefined
  return isObject(own) && own['__esModule'] ? own['default'] : own
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
