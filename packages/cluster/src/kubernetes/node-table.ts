import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Logger, messageOf, once } from '@podwire/api'
import * as z from 'zod/mini'
import { startDeadline } from '../deadline.ts'
import { readLines, readWhole, reasonOf } from '../etcd/connection.ts'
import { retryDelay } from '../retry-delay.ts'
import type { KubernetesAccess } from './access.ts'
import { type KubernetesNode, readNode } from './node.ts'

export interface NodeTable {
  /** By name, as they were last heard of. Undefined before they ever were. */
  readonly nodes: ReadonlyMap<string, KubernetesNode> | undefined
  /** Why they are not heard of now. */
  readonly problem: string | undefined
  /** The first listing, whatever came of it. */
  readonly attempted: Promise<void>
  stop(): Promise<void>
}

export interface NodeTableOptions {
  readonly access: KubernetesAccess
  readonly log: Logger
  readonly onChange: (table: NodeTable) => void
  /** How long it is watched over one connection. Default: 60. */
  readonly watchSeconds?: number
}

/** For the API server to begin its answer. Milliseconds. */
const answerMs = 10_000
/** After that long without a word the kernel asks whether the other end is there at all, for ten seconds. Milliseconds. */
const probeMs = 10_000
/** Past the time that the server was asked to end a watch after, which is how one that hangs is found out. Milliseconds. */
const slackMs = 10_000
/** Longest wait between two attempts. Milliseconds. */
const mostMs = 5_000

const listSchema = once(() =>
  z.object({
    metadata: z.object({ resourceVersion: z.string(), continue: z.optional(z.string()) }),
    items: z._default(z.array(z.unknown()), []),
  }),
)
const eventSchema = once(() =>
  z.object({
    type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
    object: z.object({
      code: z.optional(z.number()),
      message: z.optional(z.string()),
      metadata: z._default(z.object({ resourceVersion: z.optional(z.string()) }), {}),
    }),
  }),
)

/** What was asked for is older than what the server remembers. */
class Gone extends Error {}

/** What the server tells next can't be read: asked for from there, it would be told again. */
class Unreadable extends Error {}

function readEvent(line: string) {
  try {
    const event: unknown = JSON.parse(line)
    const { type, object } = eventSchema().parse(event)
    // The schema's shape.
    return {
      type,
      object,
      node: type === 'BOOKMARK' ? undefined : readNode((event as { object: unknown }).object),
    }
  } catch (cause) {
    throw new Unreadable(messageOf(cause), { cause })
  }
}

/** Keeps up with the Nodes of a Kubernetes cluster: lists them, watches from there, and lists again where the server forgot. */
export function keepNodeTable({ access, log, onChange, watchSeconds = 60 }: NodeTableOptions): NodeTable {
  const stopped = new AbortController()
  let nodes: Map<string, KubernetesNode> | undefined
  let problem: string | undefined
  let version: string | undefined
  let attemptedOnce = () => {}
  const attempted = new Promise<void>((resolve) => {
    attemptedOnce = resolve
  })

  async function ask(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const { server, ca, cert, key, token } = access
    const bearer = token()
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const isSecure = server.startsWith('https:')
      const sent = (isSecure ? httpsRequest : httpRequest)(new URL(path, server), {
        signal,
        agent: false,
        ...(isSecure ? { ca, cert, key } : {}),
        headers: {
          accept: 'application/json',
          ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
        },
      })
      sent.on('socket', (socket) => socket.setKeepAlive(true, probeMs))
      sent.on('error', reject)
      sent.on('response', resolve)
      sent.end()
    })
    if (response.statusCode === 200) return response
    const said = (await readWhole(response)).slice(0, 300)
    if (response.statusCode === 410) throw new Gone(said)
    throw new Error(`HTTP status ${response.statusCode}: ${said}`)
  }

  async function list(): Promise<void> {
    const found = new Map<string, KubernetesNode>()
    let next: string | undefined
    do {
      const query = new URLSearchParams({ limit: '500', ...(next ? { continue: next } : {}) })
      const { metadata, items } = listSchema().parse(JSON.parse(await readPage(`/api/v1/nodes?${query}`)))
      for (const item of items) {
        const node = readNode(item)
        if (node) found.set(node.name, node)
      }
      version = metadata.resourceVersion
      next = metadata.continue || undefined
    } while (next !== undefined)
    nodes = found
    problem = undefined
    onChange(table)
  }

  async function readPage(path: string): Promise<string> {
    const deadline = startDeadline(answerMs, stopped.signal)
    try {
      return await readWhole(await ask(path, deadline.signal))
    } finally {
      deadline.end()
    }
  }

  async function watch(from: string): Promise<void> {
    const query = new URLSearchParams({
      watch: '1',
      resourceVersion: from,
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(watchSeconds),
    })
    // A server that went away without a word would be waited for without end.
    const deadline = startDeadline(answerMs, stopped.signal)
    try {
      const answer = await ask(`/api/v1/nodes?${query}`, deadline.signal)
      deadline.extend(watchSeconds * 1_000 + slackMs)
      problem = undefined
      for await (const line of readLines(answer)) take(readEvent(line))
    } finally {
      deadline.end()
    }
  }

  function take({ type, object, node }: ReturnType<typeof readEvent>): void {
    if (type === 'ERROR') {
      if (object.code === 410) throw new Gone(object.message ?? '')
      throw new Error(object.message ?? 'the watch failed')
    }
    version = object.metadata.resourceVersion ?? version
    if (!node) return
    if (type === 'DELETED') nodes?.delete(node.name)
    else nodes?.set(node.name, node)
    onChange(table)
  }

  async function run(): Promise<void> {
    for (let failures = 0; !stopped.signal.aborted; ) {
      try {
        if (version === undefined) await list()
        attemptedOnce()
        if (version !== undefined) await watch(version)
        failures = 0
        // One that ends at once, again and again, must not be a busy loop.
        await sleep(100, undefined, { signal: stopped.signal })
      } catch (error) {
        attemptedOnce()
        if (stopped.signal.aborted) return
        if (error instanceof Gone) {
          log.info(
            `cluster: the API server has forgotten what happened since ${version}: Nodes are listed again`,
          )
          version = undefined
        } else if (error instanceof Unreadable) {
          problem = `what the API server tells of Nodes can't be read, and they are listed again: ${access.server}: ${error.message}`
          log.warn(`cluster: ${problem}`)
          version = undefined
        } else {
          const reason = `the API server can't be asked for Nodes: ${access.server}: ${reasonOf(error)}`
          if (problem === undefined) log.warn(`cluster: ${reason}`)
          problem = reason
        }
        failures++
        await sleep(retryDelay(failures, mostMs), undefined, { signal: stopped.signal }).catch(() => {})
      }
    }
  }

  const table: NodeTable = {
    get nodes() {
      return nodes
    },
    get problem() {
      return problem
    },
    attempted,
    async stop() {
      stopped.abort()
      await running
    },
  }
  const running = run().catch((error: unknown) => log.error(`cluster: ${messageOf(error)}`, { error }))
  return table
}
