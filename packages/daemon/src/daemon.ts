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
import { changedPaths } from './config-changes.ts'
import { connectionLimit } from './descriptors.ts'
import { errors } from './errors.ts'
import { createEventLog } from './events/event-log.ts'
import { limitConnections } from './http/connections.ts'
import { openApiDocument } from './http/openapi.ts'
import { hostRoutes } from './http/routes/host.ts'
import { podRoutes } from './http/routes/pods.ts'
import { addProbes } from './http/routes/probes.ts'
import { addEventStreams } from './http/routes/streams.ts'
import { createServer } from './http/server.ts'
import { logEvents } from './log-events.ts'
import { createMetrics } from './metrics/metrics.ts'
import { createOperations } from './operations.ts'
import { createReloadableHost, type StartHost } from './reloadable-host.ts'
import { listenOnSocket } from './socket.ts'
import { connectServiceManager } from './systemd.ts'
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

/** For operations to undo what they did, once they are aborted. Milliseconds. */
const undoMs = 10_000

/** For answers to be read, once everything has been done. Milliseconds. */
const answerMs = 2_000

/**
 * Starts the resident host of a state directory: HTTP on the Unix socket `podwire.sock` in it.
 * @throws PodwireError `STATE_LOCKED` where there is one already, `SOCKET_UNUSABLE`; all that `createNetworkHost` throws
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { load, installation, log, gid, version, env = process.env } = options
  const startedAt = new Date().toISOString()
  const manager = connectServiceManager(env, log)
  const configuration = await load()
  const { stateDir } = configuration.config
  const unlock = await lockStateDir(stateDir)

  const events = createEventLog({ events: 4_096, bytes: 4 * 2 ** 20 })
  const startHost: StartHost = async (by, listen, first) => {
    const catalog = await createPluginCatalog({ configuration: by, installation, log, defaultIsolation })
    await validateConfiguration(by, catalog)
    return createNetworkHost({
      config: by,
      ...(installation ? { installation } : {}),
      log,
      recover: first,
      defaultIsolation,
      listen,
    })
  }
  const operations = createOperations()
  try {
    const host = await createReloadableHost(configuration, startHost, log, (emitter) => {
      for (const name of hostEventNames) emitter.on(name, (event) => events.append(name, event))
      logEvents(emitter, log)
    })
    const metrics = createMetrics(host, version)
    const routes = [...podRoutes(host), ...hostRoutes({ host, operations, version, startedAt })]
    const app = await createServer({ routes, events, operations, log, onAnswered: metrics.answered })
    const most = connectionLimit()
    const streams = addEventStreams(app, events, Math.max(2, Math.floor(most / 4)))
    addProbes(app, { host, operations, metrics, document: openApiDocument(routes, version) })
    const connections = limitConnections(app.server, most)
    await app.ready()
    const socket = `${stateDir}/podwire.sock`
    await listenOnSocket(app.server, socket, gid)
    const status = () => `network plugin ${host.configuration.config.networkPlugin}`
    log.info(`listening at ${socket}`, {
      version,
      ...(configuration.file ? { configuration: configuration.file } : {}),
    })
    manager.ready(status())

    const reload = async () => {
      manager.reloading()
      const { file, config } = host.configuration
      try {
        const next = await load()
        const changed = changedPaths(config, next.config)
        if (next.config.stateDir !== stateDir)
          throw errors.STATE_DIR_CHANGED({ from: stateDir, to: next.config.stateDir })
        if (changed.length > 0 || next.file !== file) {
          await host.exchange(next)
          host.events.emit('configuration:changed', { file: next.file, changed })
        } else log.info('the configuration was read again, and is the same')
      } catch (error) {
        log.error(`the configuration is refused, and the old one stays: ${messageOf(error)}`, { error })
        host.events.emit('configuration:refused', { file, error })
      }
      manager.ready(status())
    }
    // One after the other: a file may be written while it is read.
    let reloads: Promise<void> = Promise.resolve()
    const queueReload = () => {
      reloads = reloads.then(reload)
      return reloads
    }
    const { file } = configuration
    const unwatch = file === undefined ? () => {} : watchFile(file, () => void queueReload(), log)

    const stop = async (deadlineMs: number) => {
      unwatch()
      operations.stop()
      manager.stopping('waiting for what runs')
      log.info('stopping: no new work is taken')
      await reloads
      if (!(await operations.ended(deadlineMs))) {
        log.warn(`after ${deadlineMs} ms some operations still run; they are aborted, and undo what they did`)
        operations.abortAll()
        if (!(await operations.ended(undoMs)))
          log.error('some operations did not end; the next start undoes them')
      }
      streams.endAll()
      // No new ones, and then the end of those there are.
      app.server.close()
      await connections.close(answerMs)
      await app.close()
      metrics.close()
      await host
        .close()
        .catch((error: unknown) => log.error(`the host could not be closed: ${messageOf(error)}`, { error }))
      manager.close()
      unlock()
      log.info('stopped')
    }
    let stopped: Promise<void> | undefined
    return {
      socket,
      reload: queueReload,
      stop: (deadlineMs = 30_000) => {
        stopped ??= stop(deadlineMs)
        return stopped
      },
    }
  } catch (error) {
    manager.close()
    unlock()
    throw error
  }
}
