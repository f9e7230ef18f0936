import type * as z from 'zod/mini'

/** Reads what somebody wrote into etcd: parsed by a schema, or a string that says what is wrong with it. */
export function parseJson<T extends z.ZodMiniType>(
  schema: T,
  text: string,
): { readonly data: z.output<T> } | string {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return 'it is not JSON'
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return { data: parsed.data }
  const [issue] = parsed.error.issues
  return `${issue?.path.join('.') || 'it'}: ${issue?.message}`
}
