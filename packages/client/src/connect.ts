import { isPodwireError, type Logger, type PodRef } from '@podwire/api'
import type {
  ActivePlugin,
  NetworkHost,
  PruneResult,
  Readiness,
  RepairResult,
  SandboxRecord,
} from '@podwire/core'
import { errors } from './errors.ts'
import { createConnection, isObject, type Question } from './http.ts'
import { createRemoteEvents } from './remote-events.ts'
import { assertSocketTrusted } from './trust.ts'

/** Where the daemon is. */
export interface ConnectOptions {
  /** The path of its socket. Default: `/run/podwire/podwire.sock`. */
  readonly socket?: string
  /** Told of listeners that fail, and of events that can't be had. */
  readonly log?: Logger
}

/** Who answers. */
export interface DaemonDescription {
  /** Of podwire. */
  readonly version: string
  readonly pid: number
  readonly stateDir: string
  /** The configuration's; none where the defaults hold. */
  readonly configFile?: string
  /** The qualified name of the plugin that sets pods up. */
  readonly networkPlugin: string
  /** ISO 8601 */
  readonly startedAt: string
}

/** The host of a daemon. Closing it closes the connection alone. */
export interface RemoteNetworkHost extends NetworkHost {
  readonly daemon: DaemonDescription
}

/** Where the daemon's socket is in a state directory. */
export function socketOf(stateDir: string): string {
  return `${stateDir}/podwire.sock`
}

/** How long a daemon may take to say who it is. Milliseconds. */
const helloMs = 10_000

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

/**
 * Connects to the daemon behind a socket: the same interface as a host in process, the same errors and events.
 * @throws PodwireError `DAEMON_NOT_RUNNING`, `DAEMON_REFUSES`, `SOCKET_UNTRUSTED`, `DAEMON_ANSWER`
 */
export async function connectNetworkHost({
  socket = socketOf('/run/podwire'),
  log = silent,
}: ConnectOptions = {}): Promise<RemoteNetworkHost> {
  assertSocketTrusted(socket)
  const connection = createConnection(socket)
  const { events, begun, heard, watchFlows, close } = createRemoteEvents(socket, log)

  // What comes is the answer of a daemon that is trusted, to a question of the same version: its shape is the one asked for.
  const ask = async <T>(question: Question): Promise<T> => {
    await begun()
    const { body, lastEvent } = await connection.ask(question)
    await heard(lastEvent)
    return body as T
  }
  const daemon = await describe(connection, socket)

  return {
    daemon,
    events,
    plugin: async () => {
      const { capabilities, ...plugin } = await ask<
        Omit<ActivePlugin, 'capabilities'> & { capabilities: string[] }
      >({ method: 'GET', path: '/v1/plugin' })
      return { ...plugin, capabilities: () => capabilities }
    },
    setUpPod: ({ namespace, name, ...request }, { signal } = {}) =>
      ask<SandboxRecord>({
        method: 'PUT',
        path: podPath({ namespace, name }),
        body: request,
        signal,
        once: request.mustBeNew === true,
      }),
    tearDownPod: async (pod, { signal, force = false } = {}) => {
      const path = podPath(pod, force ? { force: 'true' } : {})
      return (await ask<{ left: string[] }>({ method: 'DELETE', path, signal })).left
    },
    pod: (pod) =>
      ask<SandboxRecord>({ method: 'GET', path: podPath(pod) }).catch((error: unknown) => {
        if (isPodwireError(error) && error.code === 'POD_NOT_FOUND') return undefined
        throw error
      }),
    pods: async () => (await ask<{ pods: SandboxRecord[] }>({ method: 'GET', path: '/v1/pods' })).pods,
    checkPod: (pod, { signal } = {}) =>
      ask<void>({ method: 'POST', path: podPath(pod, {}, '/check'), signal }),
    repair: async ({ signal } = {}) =>
      (await ask<{ pods: RepairResult[] }>({ method: 'POST', path: '/v1/repair', signal })).pods,
    prune: async ({ signal, all = false, attachments = false } = {}) => {
      const body = { all, attachments }
      return (await ask<{ pods: PruneResult[] }>({ method: 'POST', path: '/v1/prune', body, signal })).pods
    },
    collectGarbage: ({ signal } = {}) => ask<void>({ method: 'POST', path: '/v1/gc', signal }),
    resetPlugin: async (name) =>
      (await ask<{ wasDown: boolean }>({ method: 'POST', path: '/v1/plugins/reset', body: { name } }))
        .wasDown,
    status: async () =>
      (await ask<{ readiness: Readiness }>({ method: 'GET', path: '/v1/status' })).readiness,
    watchFlows,
    event: (name, details) => ask<void>({ method: 'POST', path: '/v1/event', body: { name, details } }),
    close: async () => {
      close()
      connection.close()
    },
  }
}

async function describe(
  connection: ReturnType<typeof createConnection>,
  socket: string,
): Promise<DaemonDescription> {
  const { body } = await connection
    .ask({ method: 'GET', path: '/v1/daemon', withinMs: helloMs })
    .catch((error: unknown) => {
      connection.close()
      throw error
    })
  if (isObject(body) && body['apiVersion'] === 1) {
    const { apiVersion: _, ...described } = body
    // The version says what else is in it.
    return described as unknown as DaemonDescription
  }
  connection.close()
  throw errors.DAEMON_ANSWER({ what: socket, problem: 'it speaks another version' })
}

function podPath(
  { namespace, name, sandboxId }: Pick<PodRef, 'namespace' | 'name'> & { readonly sandboxId?: string },
  query: Readonly<Record<string, string>> = {},
  action = '',
): string {
  const search = new URLSearchParams({ ...query, ...(sandboxId === undefined ? {} : { sandboxId }) })
  // An empty name is the daemon's to refuse, as any other that is wrong.
  const parts = [namespace, name].map((part) => encodeURIComponent(part) || '%20')
  return `/v1/pods/${parts.join('/')}${action}${search.size > 0 ? `?${search}` : ''}`
}
