import type { Logger } from '@podwire/api'
import { messageOf } from '@podwire/api'
import type { NetworkHost } from '@podwire/core'
import { type HostEvents, hostEventNames } from '@podwire/core/events'

/** How loud an event is; those not named are for whoever looks closely. */
const levels: Partial<Record<keyof HostEvents, keyof Logger>> = {
  'plugin:ready': 'info',
  'plugin:failed': 'error',
  'pod:setup:done': 'info',
  'pod:setup:failed': 'warn',
  'pod:repaired': 'warn',
  'pod:teardown:done': 'info',
  'pod:teardown:failed': 'warn',
  'status:changed': 'warn',
  'pod-cidr-change': 'info',
  'cluster:joined': 'info',
  'cluster:fenced': 'error',
  'cluster:repaired': 'warn',
  'cluster:refused': 'warn',
  'sandbox:recovered': 'warn',
  'state:set-aside': 'warn',
  'configuration:changed': 'info',
  'plugin:report': 'info',
  'flow:denied': 'info',
}

/** Writes what happens in a host into the log: an entry for each event, with what it says. */
export function logEvents(events: NetworkHost['events'], log: Logger): void {
  for (const name of hostEventNames) {
    events.on(name, (event) => {
      const { plugin, pod, error, ...rest } = {
        plugin: undefined,
        pod: undefined,
        error: undefined,
        ...event,
      }
      const about = [plugin, pod && `${pod.namespace}/${pod.name}`].filter((one) => one !== undefined)
      const why = error === undefined ? '' : `: ${messageOf(error)}`
      log[levels[name] ?? 'debug'](`${[name, ...about].join(' ')}${why}`, {
        ...rest,
        ...(pod ? { sandboxId: pod.sandboxId } : {}),
      })
    })
  }
}
