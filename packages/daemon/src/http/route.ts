import type * as z from 'zod'
import { errors } from '../errors.ts'

type Schema = z.ZodType

/** What a request brought, each part unchecked. */
interface Raw {
  readonly params: unknown
  readonly query: unknown
  readonly body: unknown
}

/** A route as it is written. */
interface Definition<Params extends Schema, Query extends Schema, Body extends Schema> {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** As in an OpenAPI document: `/v1/pods/{namespace}/{name}`. */
  readonly path: string
  /** The name of the operation: `setUpPod`. */
  readonly id: string
  readonly summary: string
  readonly params?: Params
  readonly query?: Query
  readonly body?: Body
  /** What is answered, and nothing where it is left out; documented, and not checked. */
  readonly answer?: Schema
  /** It only looks, and is answered while the daemon stops too. */
  readonly looks?: boolean
  handle(asked: {
    readonly params: z.output<Params>
    readonly query: z.output<Query>
    readonly body: z.output<Body>
    readonly signal: AbortSignal
  }): Promise<unknown>
}

/** A route as the server uses it. */
export interface Route extends Omit<Definition<Schema, Schema, Schema>, 'handle'> {
  /** Checks what came and does it. @throws PodwireError `INVALID_REQUEST` */
  serve(raw: Raw, signal: AbortSignal): Promise<unknown>
}

/** A route whose handler gets what its schemas say. */
export function defineRoute<Params extends Schema, Query extends Schema, Body extends Schema>({
  handle,
  ...route
}: Definition<Params, Query, Body>): Route {
  return {
    ...route,
    serve: async (raw, signal) => {
      const problems: string[] = []
      const params = parse('path', route.params, raw.params, problems)
      const query = parse('query', route.query, raw.query, problems)
      const body = parse('body', route.body, raw.body ?? undefined, problems)
      if (problems.length > 0) throw errors.INVALID_REQUEST({ problems })
      // Without a problem, each is what its schema says.
      return handle({
        params: params as z.output<Params>,
        query: query as z.output<Query>,
        body: body as z.output<Body>,
        signal,
      })
    },
  }
}

function parse(where: string, schema: Schema | undefined, value: unknown, problems: string[]): unknown {
  if (!schema) return undefined
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  for (const { path, message } of parsed.error.issues) {
    problems.push(`${[where, ...path.map(String)].join('.')}: ${message}`)
  }
  return undefined
}
