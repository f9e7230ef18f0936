import { describeValue, type StandardIssue, type StandardSchema } from '@podwire/api'
import { pluginOptionsInvalid } from '../errors.ts'

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
    throw pluginOptionsInvalid({ key, problems: [{ path: '', message }] })
  }
  const result = await schema['~standard'].validate(given ?? {})
  if (!result.issues) return result.value
  const problems = result.issues.map((issue) => describeIssue(issue, given))
  throw pluginOptionsInvalid({ key, problems })
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
