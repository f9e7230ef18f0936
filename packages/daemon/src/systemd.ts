import { type Logger, messageOf } from '@podwire/api'
import { sendUnixDatagram } from '@podwire/netlink/unix-datagram'

/** Tells a service manager how it goes, where one asked for that: systemd's notify protocol. */
export interface ServiceManager {
  ready(status: string): void
  reloading(): void
  stopping(status: string): void
  /** Ends the signs of life. */
  close(): void
}

/**
 * @param env `NOTIFY_SOCKET` names the manager's socket, `WATCHDOG_USEC` how often it wants a sign of life, `WATCHDOG_PID`
 *   of whom. They are taken out of it: they are not for processes that this one starts.
 */
export function connectServiceManager(env: NodeJS.ProcessEnv, log: Logger): ServiceManager {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdog, WATCHDOG_PID: watched } = env
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name]
  if (!socket) return { ready() {}, reloading() {}, stopping() {}, close() {} }

  const tell = (...lines: string[]) => {
    try {
      sendUnixDatagram(socket, lines.join('\n'))
    } catch (error) {
      log.warn(`the service manager can't be told: ${messageOf(error)}`, { error })
    }
  }
  const isMine = watched === undefined || Number(watched) === process.pid
  const watchdogMs = isMine ? Number(watchdog) / 1000 : Number.NaN
  // From the event loop, so that one that is stuck gives none. Twice as often as it must be, as systemd advises.
  const timer = watchdogMs >= 2 ? setInterval(() => tell('WATCHDOG=1'), watchdogMs / 2).unref() : undefined
  return {
    ready: (status) => tell('READY=1', `STATUS=${status}`),
    reloading: () => tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: (status) => tell('STOPPING=1', `STATUS=${status}`),
    close: () => clearInterval(timer),
  }
}
