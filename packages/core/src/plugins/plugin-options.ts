import { describeValue, type StandardIssue, type StandardSchema } from '@podwire/api'
import { errors } from '../errors.ts'

/**
 * A package's options as its schema returns them.
 * @throws PodwireError `PLUGIN_OPTIONS_INVALID`
 */
export async function parseOptions(
  key: string,
  schema: StandardSchema | undefined,
  given: unknown,
): Promise<unknown> {
  if (!schema) {
    if (given === undefined || isEmpty(given)) return undefined
    const message = `this package takes no options, got ${describeValue(given)}`
    throw errors.PLUGIN_OPTIONS_INVALID({ key, problems: [{ path: '', message }] })
  }
  const result = await schema['~standard'].validate(given ?? {})
  if (!result.issues) return result.value
  const problems = result.issues.map((issue) => describeIssue(issue, given))
  throw errors.PLUGIN_OPTIONS_INVALID({ key, problems })
}

function describeIssue({ message, path = [] }: StandardIssue, given: unknown) {
  const keys = path.map((part) => (typeof part === 'object' ? part.key : part))
  const value = keys.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    given,
  )
  return { path: keys.map(String).join('.'), message: `${message}, got ${describeValue(value)}` }
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

/** The JSON Schema of a package's options, where its schema library tells it (Standard JSON Schema); undefined elsewhere. */
export function optionsJsonSchema(schema: StandardSchema): unknown {
  // Optional, and younger than Standard Schema itself.
  const { jsonSchema } = schema['~standard'] as {
    jsonSchema?: { input?: (options: { target: string }) => unknown }
  }
  try {
    return jsonSchema?.input?.({ target: 'draft-2020-12' })
  } catch {
    // A schema that JSON Schema can't express.
    return undefined
  }
}
