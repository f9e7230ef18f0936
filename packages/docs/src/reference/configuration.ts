import type { PluginModule } from '@podwire/api'
import { optionsJsonSchema } from '@podwire/core'
import { configJsonSchema } from '@podwire/core/json-schema'
import { code, type Page, paragraphs, plain } from '../markdown.ts'

/** The part of JSON Schema that configurations use. */
interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
}

/** A key of a configuration: `discovery.paths`. */
export interface ConfigKey {
  readonly path: string
  readonly schema: JsonSchema
}

/** The plugin packages whose options are shown, by the key of `plugins`. */
const withOptions = ['kubenet', 'cni', 'exec'] as const

/** Every key of a configuration, the options of our plugins among them, in the order of the schemas. */
export async function configKeys(): Promise<ConfigKey[]> {
  const own = keysOf(asSchema(configJsonSchema()), '')
  const plugins = await Promise.all(
    withOptions.map(async (key) => {
      // The default export of a plugin package.
      const { default: module } = (await import(`@podwire/plugin-${key}`)) as { default: PluginModule }
      return keysOf(asSchema(module.options && optionsJsonSchema(module.options)), `plugins.${key}`)
    }),
  )
  return [...own, ...plugins.flat()]
}

export async function configurationPage(): Promise<Page> {
  const keys = (await configKeys()).filter(({ path }) => path !== '$schema')
  const own = keys.filter(({ path }) => !path.startsWith('plugins.'))
  const plugins = withOptions.flatMap((key) => [
    `## Options of ${key}`,
    `[What ${key} does with them](../packages/plugin-${key}.md)`,
    ...keys.filter(({ path }) => path.startsWith(`plugins.${key}.`)).map(section),
  ])
  return {
    path: 'reference/configuration',
    text: paragraphs(INTRODUCTION, '## Keys', ...own.map(section), ...plugins),
  }
}

const INTRODUCTION = `# Configuration

Every key may be left out. \`podwire config print\` shows what holds with every default filled in, \`podwire config check\`
says whether a start would accept it. Where the file is looked for, and in which formats, is in the
[guide for operators](../operators.md#configuration).

A file in JSON or YAML can name a schema for editors, which \`podwire init\` writes beside it: the keys below are made from
the same source.`

function section({ path, schema }: ConfigKey): string {
  const facts = [
    typeOf(schema),
    schema.default === undefined ? undefined : `default ${code(JSON.stringify(schema.default))}`,
  ].filter((fact) => fact)
  return paragraphs(
    `### ${code(path)}`,
    schema.description && plain(schema.description),
    schema.properties ? undefined : `*${facts.join(', ')}*`,
  ).trimEnd()
}

function typeOf({ type, enum: values, const: constant, items, anyOf }: JsonSchema): string {
  if (anyOf) return [...new Set(anyOf.map(typeOf))].join(' or ')
  if (constant !== undefined) return code(JSON.stringify(constant))
  if (values)
    return values
      .map((value) => code(JSON.stringify(value)))
      .join(', ')
      .replace(/, ([^,]*)$/, ' or $1')
  if (items) return `list of ${typeOf(items).replace(/^string$/, 'strings')}`
  return typeof type === 'string' ? type : (type?.join(' or ') ?? 'any value')
}

function keysOf({ properties = {} }: JsonSchema, above: string): ConfigKey[] {
  return Object.entries(properties).flatMap(([key, schema]) => {
    const path = above ? `${above}.${key}` : key
    // The options of plugin packages come by themselves.
    return [{ path, schema }, ...(path === 'plugins' ? [] : keysOf(schema, path))]
  })
}

function asSchema(made: unknown): JsonSchema {
  // zod made it, or a plugin of this repository.
  return (made ?? {}) as JsonSchema
}
