import { readFileSync } from 'node:fs'

/**
 * Milliseconds since the machine was started, those included in which it was suspended: etcd counts on meanwhile. Node's own
 * clocks stand still then, or can be set.
 */
export function bootTime(): number {
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ', 1)[0]) * 1_000
}

/** Which start of the machine it is that {@link bootTime} counts from. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}
