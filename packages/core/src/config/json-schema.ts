import * as z from 'zod/mini'
import { configSchema } from './schema.ts'

/**
 * The JSON Schema (draft 2020-12) of a configuration file, for editors; made from what checks it.
 * @param options the JSON Schemas of plugin packages' options, by the key of `plugins`
 */
export function configJsonSchema(options: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const schema: Record<string, unknown> = z.toJSONSchema(configSchema(), { io: 'input' })
  const properties = schema['properties'] as Record<string, object> // an object schema has them
  return {
    title: 'Podwire configuration',
    ...schema,
    properties: { ...properties, plugins: { ...properties['plugins'], properties: options } },
  }
}
