import { type Logger, messageOf } from '@podwire/api'
import type { LoadedConfig } from '@podwire/core'
import { changedPaths } from './config-changes.ts'
import { errors } from './errors.ts'
import type { ReloadableHost } from './reloadable-host.ts'
import type { ServiceManager } from './systemd.ts'

interface ReloadParts {
  readonly host: ReloadableHost
  readonly load: () => Promise<LoadedConfig>
  readonly manager: ServiceManager
  readonly log: Logger
}

export interface Reload {
  /** Reads the configuration again, and applies it whole or refuses it whole; one reading after the other. */
  reload(): Promise<void>
  /** Has no more of it begin, and waits for the one that runs: a host that it starts is there then, and can be closed. */
  end(): Promise<void>
}

export function createReload({ host, load, manager, log }: ReloadParts): Reload {
  let isEnded = false
  const reload = async () => {
    if (isEnded) return
    manager.reloading()
    const { file } = host.configuration
    try {
      await apply(host, await load(), log)
    } catch (error) {
      log.error(`the configuration is refused, and the old one stays: ${messageOf(error)}`, { error })
      host.events.emit('configuration:refused', { file, error })
    }
    manager.ready(`network plugin ${host.configuration.config.networkPlugin}`)
  }
  // A file may be written again while it is read.
  let last: Promise<void> = Promise.resolve()
  return {
    reload: () => {
      last = last.then(reload)
      return last
    },
    end: () => {
      isEnded = true
      return last
    },
  }
}

async function apply(host: ReloadableHost, next: LoadedConfig, log: Logger): Promise<void> {
  const { file, config } = host.configuration
  const { stateDir } = config
  // Its socket and its lock are there.
  if (next.config.stateDir !== stateDir)
    throw errors.STATE_DIR_CHANGED({ from: stateDir, to: next.config.stateDir })
  const changed = changedPaths(config, next.config)
  if (changed.length === 0 && next.file === file) {
    log.info('the configuration was read again, and is the same')
    return
  }
  await host.exchange(next)
  host.events.emit('configuration:changed', { file: next.file, changed })
}
