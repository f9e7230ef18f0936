import type { Logger } from '@podwire/api'
import type { HostEvents, NetworkHost } from '@podwire/core'
import { printNote } from './output.ts'

/** Warnings and errors go to stderr; with `verbose` everything does, with its details. */
export function stderrLogger(verbose: boolean): Logger {
  const write = (level: keyof Logger) => (message: string, details?: Readonly<Record<string, unknown>>) => {
    const shown = verbose && details ? ` ${JSON.stringify(details)}` : ''
    printNote(`${level}: ${message}${shown}`)
  }
  const quiet = () => {}
  return {
    debug: verbose ? write('debug') : quiet,
    info: verbose ? write('info') : quiet,
    warn: write('warn'),
    error: write('error'),
  }
}

const told = [
  'plugin:ready',
  'plugin:report',
  'pod:setup:start',
  'pod:setup:done',
  'pod:repaired',
  'pod:teardown:start',
  'pod:teardown:done',
  'pod-cidr-change',
  'sandbox:recovered',
  'state:set-aside',
] as const satisfies (keyof HostEvents)[]

/** Tells `log` what a host and its plugin do. */
export function logEvents(events: NetworkHost['events'], log: Logger): void {
  for (const name of told) {
    events.on(name, (event) => {
      const { plugin, pod, ...rest } = { plugin: undefined, pod: undefined, ...event }
      const about = [plugin, pod && `${pod.namespace}/${pod.name}`].filter((one) => one !== undefined)
      log.info([name, ...about].join(' '), rest)
    })
  }
}
