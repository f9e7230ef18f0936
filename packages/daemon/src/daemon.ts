import { type Logger, messageOf } from '@podwire/api'
import {
  createNetworkHost,
  createPluginCatalog,
  type Installation,
  type LoadedConfig,
  lockStateDir,
  validateConfiguration,
} from '@podwire/core'
import { hostEventNames } from '@podwire/core/events'
import { type ClusterNode, forgetCluster, joinAsConfigured } from './cluster/node.ts'
import { createCniDoor } from './cni/door.ts'
import { connectionLimit } from './descriptors.ts'
import { createEventLogs, type EventLogs } from './events/event-logs.ts'
import { limitConnections } from './http/connections.ts'
import { openApiDocument } from './http/openapi.ts'
import { addCniDoor } from './http/routes/cni.ts'
import { hostRoutes } from './http/routes/host.ts'
import { podRoutes } from './http/routes/pods.ts'
import { addProbes } from './http/routes/probes.ts'
import { addStreams } from './http/routes/streams.ts'
import { createServer } from './http/server.ts'
import { logEvents } from './log-events.ts'
import { createMetrics } from './metrics/metrics.ts'
import { createOperations } from './operations.ts'
import { createReload } from './reload.ts'
import { createReloadableHost, type ReloadableHost } from './reloadable-host.ts'
import { listenOnSocket } from './socket.ts'
import { createStop } from './stop.ts'
import { connectServiceManager, type ServiceManager } from './systemd.ts'
import { watchFile } from './watch-file.ts'

/** How a daemon is started. */
export interface DaemonOptions {
  /** Finds and reads the configuration: at the start, and again at each reload. */
  readonly load: () => Promise<LoadedConfig>
  /** What comes with the program: plugin packages, and what is installed beside it. */
  readonly installation?: Installation
  readonly log: Logger
  /** The number of a group whose members may use the daemon too. */
  readonly gid?: number
  /** Of the program. */
  readonly version: string
  /** Where a service manager's variables are. Default: the process's. */
  readonly env?: NodeJS.ProcessEnv
}

/** A daemon that listens. */
export interface Daemon {
  /** The path of its socket. */
  readonly socket: string
  /** Reads the configuration again: applied whole, or refused whole. Never rejects; says in the log and as an event what became of it. */
  reload(): Promise<void>
  /**
   * Takes no new work, lets what runs come to its end, and aborts what still runs after the deadline. Pods keep their networks.
   * @param deadlineMs default: 30 s
   */
  stop(deadlineMs?: number): Promise<void>
}

/** Where the configuration says nothing: what is not ours runs in a process of its own. */
const defaultIsolation = 'third-party'

/**
 * Starts the resident host of a state directory: HTTP on the Unix socket `podwire.sock` in it.
 * @throws PodwireError `STATE_LOCKED` where there is one already, `SOCKET_UNUSABLE`; all that `createNetworkHost` throws
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { load, log, env = process.env } = options
  const manager = connectServiceManager(env, log)
  const configuration = await load()
  const unlock = await lockStateDir(configuration.config.stateDir)
  const events = createEventLogs()
  let host: ReloadableHost | undefined
  let cluster: ClusterNode | undefined
  try {
    cluster = await joinAsConfigured(configuration, log)
    host = await startHost(cluster?.overlay(configuration) ?? configuration, events, options)
    if (!cluster) await forgetCluster(host, log)
    return await serve(cluster?.gate(host) ?? host, cluster, events, manager, unlock, options)
  } catch (error) {
    await host?.close().catch(() => {})
    await cluster?.stop().catch(() => {})
    manager.close()
    unlock()
    throw error
  }
}

function startHost(
  configuration: LoadedConfig,
  events: EventLogs,
  { installation, log }: DaemonOptions,
): Promise<ReloadableHost> {
  return createReloadableHost(
    configuration,
    async (by, listen, first) => {
      const catalog = await createPluginCatalog({ configuration: by, installation, log, defaultIsolation })
      await validateConfiguration(by, catalog)
      const own = installation ? { installation } : {}
      return createNetworkHost({ config: by, ...own, log, recover: first, defaultIsolation, listen })
    },
    log,
    (emitter) => {
      for (const name of hostEventNames) emitter.on(name, (event) => events.append(name, event))
      logEvents(emitter, log)
    },
  )
}

async function serve(
  host: ReloadableHost,
  cluster: ClusterNode | undefined,
  events: EventLogs,
  manager: ServiceManager,
  unlock: () => void,
  { load, log, gid, version }: DaemonOptions,
): Promise<Daemon> {
  const operations = createOperations()
  const metrics = createMetrics(host, version)
  const startedAt = new Date().toISOString()
  const routes = [...podRoutes(host), ...hostRoutes({ host, operations, version, startedAt })]
  const server = await createServer({
    routes,
    events: events.all,
    operations,
    log,
    onAnswered: metrics.answered,
  })
  const most = connectionLimit()
  const streams = addStreams(server, { events, host, most: Math.max(2, Math.floor(most / 4)), log })
  const door = createCniDoor({ host, stateDir: host.configuration.config.stateDir, log })
  addCniDoor(server, door, operations, log)
  addProbes(server, { host, operations, metrics, document: openApiDocument(routes, version) })
  const connections = limitConnections(server.server, most)
  await server.ready()

  const { file, config } = host.configuration
  const socket = `${config.stateDir}/podwire.sock`
  await listenOnSocket(server.server, socket, gid)
  log.info(`listening at ${socket}`, { version, ...(file === undefined ? {} : { configuration: file }) })
  // Whoever attaches something waits for it.
  void door.open()
  manager.ready(`network plugin ${config.networkPlugin}`)

  const overlaid = cluster ? async () => cluster.overlay(await load()) : load
  const { reload, end: endReload } = createReload({ host, load: overlaid, manager, log })
  cluster?.follow(host, reload)
  const unwatch = file === undefined ? () => {} : watchFile(file, () => void reload(), log)
  const stop = createStop({
    operations,
    log,
    begin: () => {
      unwatch()
      manager.stopping('waiting for what runs')
    },
    closeServer: async (patienceMs) => {
      streams.endAll()
      // No new connections, and then the end of those there are.
      server.server.close()
      await connections.close(patienceMs)
      await server.close()
      metrics.close()
    },
    closeHost: async () => {
      await endReload()
      await host
        .close()
        .catch((error: unknown) => log.error(`the host could not be closed: ${messageOf(error)}`, { error }))
      await cluster
        ?.stop()
        .catch((error: unknown) => log.error(`the cluster could not be left: ${messageOf(error)}`, { error }))
      manager.close()
      unlock()
    },
  })
  return { socket, reload, stop }
}
