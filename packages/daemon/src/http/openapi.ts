import * as z from 'zod'
import { callContentType } from '../cni/call-body.ts'
import type { Route } from './route.ts'
import { errorJson, eventsQuery, flowsQuery } from './schemas.ts'

type Json = Readonly<Record<string, unknown>>

/** The OpenAPI 3.1 document of the daemon, made from what checks its requests. */
export function openApiDocument(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Record<string, Json>> = {}
  const add = (path: string, method: string, operation: Json) => {
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation }
  }
  const { make, named } = schemaMaker()
  make(errorJson, 'output')
  for (const route of routes) add(route.path, route.method, operationOf(route, make))
  for (const { path, method = 'GET', ...operation } of others) add(path, method, operation)
  return {
    openapi: '3.1.0',
    info: {
      title: 'Podwire daemon',
      version,
      description: 'HTTP on the Unix socket podwire.sock of the state directory.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: { schemas: named() },
  }
}

type Make = (schema: z.ZodType, io: 'input' | 'output') => Json

function operationOf({ id, summary, params, query, body, answer, looks }: Route, make: Make): Json {
  const parameters = [
    ...parametersOf('path', params),
    ...parametersOf('query', query),
    ...(looks ? [] : [operationHeader]),
  ]
  return {
    operationId: id,
    summary,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body
      ? {
          requestBody: {
            required: !body.safeParse(undefined).success,
            content: asJson(make(whole(body), 'input')),
          },
        }
      : {}),
    responses: {
      ...(answer
        ? { 200: { description: 'Done.', content: asJson(make(answer, 'output')) } }
        : { 204: { description: 'Done.' } }),
      default: failure,
    },
  }
}

/** Of a body that may be left out, what it is where it isn't. */
function whole(schema: z.ZodType): z.ZodType {
  // What zod wraps is a schema like others.
  return schema instanceof z.ZodOptional ? (schema.unwrap() as z.ZodType) : schema
}

const operationHeader = {
  name: 'podwire-operation',
  in: 'header',
  description: 'A name for this request, by which it can be aborted while it runs.',
  schema: { type: 'string', pattern: '^[A-Za-z0-9-]{1,64}$' },
}

const failure = {
  description: 'It failed: the message says what, with which value, and what to do.',
  content: asJson({
    type: 'object',
    properties: { error: { $ref: '#/components/schemas/Error' } },
    required: ['error'],
  }),
}

const plain = (description: string) => ({
  description,
  content: { 'text/plain': { schema: { type: 'string' } } },
})

const stream = (query: z.ZodType) => ({
  parameters: [
    ...parametersOf('query', query),
    {
      name: 'last-event-id',
      in: 'header',
      description: 'Begin after this event. What is no longer kept is told as events:dropped.',
      schema: { type: 'string' },
    },
  ],
  responses: {
    200: { description: 'The stream.', content: { 'text/event-stream': { schema: { type: 'string' } } } },
    default: failure,
  },
})

/** What is no question about pods. */
const others: readonly (Json & { readonly path: string; readonly method?: 'POST' })[] = [
  {
    path: '/v1/events',
    operationId: 'followEvents',
    summary: 'What happens, as server-sent events: {"at", "payload"}, by the name of the event.',
    ...stream(eventsQuery),
  },
  {
    path: '/v1/flows',
    operationId: 'followFlows',
    summary:
      'What pods reached, and what they were denied, likewise: flow:allowed, flow:closed, flow:denied, and flow:lost where there was more. ' +
      'Allowed flows are watched while a stream is open, beginning with those there are.',
    ...stream(flowsQuery),
  },
  {
    path: '/v1/cni',
    method: 'POST',
    operationId: 'callCniPlugin',
    summary: 'A call that a container runtime made of a CNI plugin, as its executable got it.',
    requestBody: {
      required: true,
      description: 'The CNI variables, each NAME=VALUE and a NUL; another NUL; stdin.',
      content: { [callContentType]: { schema: { type: 'string', format: 'binary' } } },
    },
    responses: {
      200: {
        description: 'It succeeded: what goes to stdout.',
        content: asJson({ type: 'object', description: 'A result of ADD or VERSION; else nothing.' }),
      },
      422: {
        description: 'It failed: what goes to stdout.',
        content: asJson({
          type: 'object',
          properties: {
            cniVersion: { type: 'string' },
            code: { type: 'integer' },
            msg: { type: 'string' },
            details: { type: 'string' },
          },
          required: ['cniVersion', 'code', 'msg'],
        }),
      },
      default: failure,
    },
  },
  {
    path: '/healthz',
    operationId: 'isAlive',
    summary: 'Whether the daemon runs.',
    responses: { 200: plain('It does.') },
  },
  {
    path: '/readyz',
    operationId: 'isReady',
    summary: 'Whether pods can be set up.',
    responses: { 200: plain('They can.'), 503: plain('They can not, and why.') },
  },
  {
    path: '/metrics',
    operationId: 'getMetrics',
    summary: 'Metrics in the text format of Prometheus.',
    responses: { 200: plain('The metrics.') },
  },
  {
    path: '/openapi.json',
    operationId: 'getOpenApi',
    summary: 'This document.',
    responses: { 200: { description: 'The document.', content: asJson({ type: 'object' }) } },
  },
]

function asJson(schema: Json): Json {
  return { 'application/json': { schema } }
}

/** Makes JSON Schemas, and keeps those that have names. */
function schemaMaker() {
  const named = new Map<string, Json>()
  const make = (schema: z.ZodType, io: 'input' | 'output'): Json => {
    const { $schema: _, $defs = {}, ...root } = z.toJSONSchema(schema, { io })
    for (const [id, definition] of Object.entries($defs)) named.set(id, linked(definition))
    const { id } = root
    if (typeof id !== 'string') return linked(root)
    named.set(id, linked(root))
    return { $ref: `#/components/schemas/${id}` }
  }
  return { make, named: () => Object.fromEntries([...named].sort(([a], [b]) => a.localeCompare(b))) }
}

function linked({ id: _, ...schema }: Json): Json {
  // It was made from JSON just now, and is JSON with other links in it.
  return JSON.parse(JSON.stringify(schema).replaceAll('#/$defs/', '#/components/schemas/')) as Json
}

function parametersOf(where: 'path' | 'query', schema: z.ZodType | undefined): Json[] {
  if (!schema) return []
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input' })
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...type } = property as Json
    return {
      name,
      in: where,
      required: required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: type,
    }
  })
}
