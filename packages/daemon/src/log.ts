import type { Logger } from '@podwire/api'
import { errorToJson, printable } from '@podwire/api'
import { destination, pino } from 'pino'

/** How a daemon logs. */
export interface DaemonLogOptions {
  readonly level: 'debug' | 'info'
  /** Lines for people instead of JSON. */
  readonly readable: boolean
}

/** A log on stderr: a line of JSON for each entry, or a line that can be read. */
export function createDaemonLog({ level, readable }: DaemonLogOptions): Logger & { flush(): void } {
  const to = destination({ fd: 2, sync: readable })
  const log = readable
    ? pino(
        { level, formatters: { level: (label) => ({ level: label }) } },
        { write: (line) => to.write(readably(line)) },
      )
    : pino(
        {
          level,
          base: { pid: process.pid },
          formatters: { level: (label) => ({ level: label }) },
          timestamp: pino.stdTimeFunctions.isoTime,
        },
        to,
      )
  const write =
    (name: keyof Logger) =>
    (message: string, details: Readonly<Record<string, unknown>> = {}) =>
      log[name](plain(details), message)
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    flush: () => to.flushSync(),
  }
}

/** Errors as what they say; pino knows them under one name alone. */
function plain(details: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(details).map(([key, value]) => [key, value instanceof Error ? errorToJson(value) : value]),
  )
}

function readably(line: string): string {
  // pino made it just now.
  const {
    level,
    time,
    pid: _,
    hostname: __,
    msg,
    ...rest
  } = JSON.parse(line) as {
    level: string
    time: number
    pid: number
    hostname: string
    msg: string
  }
  const more = Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : ''
  // A newline would pass for an entry of its own.
  return `${printable(`${new Date(time).toISOString().slice(11, 23)} ${level.padEnd(5)} ${msg.replaceAll('\n', '\\n')}${more}`)}\n`
}
