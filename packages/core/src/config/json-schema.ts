import * as z from 'zod/mini'
import { configSchema } from './schema.ts'

/** The JSON Schema (draft 2020-12) of a configuration file, for editors; made from what checks it. */
export function configJsonSchema(): Record<string, unknown> {
  return { title: 'Podwire configuration', ...z.toJSONSchema(configSchema, { io: 'input' }) }
}
