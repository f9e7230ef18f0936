import { once } from '@podwire/api'
import * as z from 'zod/mini'
import { wireError } from './wire-error.ts'

// What a host and an isolated plugin say to each other: a line of JSON each, on a socket between the two. Both sides call,
// abort, answer and tell. Each side looks at whatever the other says before it believes it.

/** A pod with thousands of port mappings, or ten thousand sandbox ids, fit. */
export const maxMessageBytes = 4 * 1024 * 1024

export const message = once(() => {
  const id = z.string().check(z.minLength(1), z.maxLength(64))
  return z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('call'), id, method: z.string(), args: z.array(z.unknown()) }),
    z.strictObject({ kind: z.literal('abort'), id, reason: wireError() }),
    z.strictObject({ kind: z.literal('answer'), id, result: z.optional(z.unknown()) }),
    z.strictObject({ kind: z.literal('failure'), id, error: wireError() }),
    z.strictObject({ kind: z.literal('tell'), topic: z.string(), details: z.unknown() }),
  ])
})
export type Message = z.output<ReturnType<typeof message>>

const fields = z.record(z.string(), z.unknown())

/** What a plugin asks of its host: the arguments by method. */
export const hostCalls = once(() => ({
  getNetNS: z.tuple([z.string()]),
  getPodPortMappings: z.tuple([z.string()]),
  getPodByName: z.tuple([z.string(), z.string()]),
}))

/** What a plugin tells its host: the details by topic. */
export const hostTopics = once(() => ({
  log: z.strictObject({
    level: z.enum(['debug', 'info', 'warn', 'error']),
    message: z.string(),
    details: z.optional(fields),
  }),
  report: z.strictObject({ event: z.string(), details: fields }),
  /** Before an answer, and whenever they change. What is no bitset is the host's to refuse, when it asks. */
  capabilities: z.strictObject({ plugin: z.string(), capabilities: z.unknown() }),
}))

export const optionalMethods = ['checkPod', 'collectGarbage', 'close'] as const

/** What a package offers, as its process answers to `load`. */
export const offeredPlugins = once(() =>
  z.array(
    z.strictObject({
      name: z.string(),
      methods: z.array(z.enum(optionalMethods)),
      capabilities: z.unknown(),
    }),
  ),
)
export type OfferedPlugin = z.output<ReturnType<typeof offeredPlugins>>[number]

/** What a package is loaded with, in its process. */
export const loadOrder = once(() =>
  z.strictObject({
    found: z.looseObject({ packageName: z.string(), dir: z.string() }),
    options: z.optional(z.unknown()),
    configDir: z.optional(z.string()),
    stateDir: z.string(),
    deadlineMs: z.number(),
  }),
)

/** What a host asks of a plugin: the arguments by method, after the plugin's name. */
export const pluginCalls = once(() => ({
  init: z.tuple([fields, z.boolean()]),
  event: z.tuple([z.string(), fields]),
  setUpPod: z.tuple([fields]),
  tearDownPod: z.tuple([fields]),
  getPodNetworkStatus: z.tuple([fields]),
  status: z.tuple([]),
  checkPod: z.tuple([fields]),
  collectGarbage: z.tuple([z.array(z.string())]),
  close: z.tuple([]),
}))
