import { readFileSync } from 'node:fs'
import type { SandboxRecord } from '@podwire/core'

/** What went through the interfaces of a pod since they are there, its loopback apart. Bytes. */
export interface Traffic {
  readonly received: number
  readonly sent: number
  /** When it was read, in milliseconds of the monotonic clock. */
  readonly at: number
}

/** How fast it goes. Bits per second. */
export interface Rates {
  readonly received: number
  readonly sent: number
}

/** By the kernel's counters; undefined where a pod can't be entered: it is gone, or this user may not. */
export async function trafficOf(record: SandboxRecord): Promise<Traffic | undefined> {
  const { inSandbox } = await import('@podwire/core')
  try {
    // The counters of the namespace that this thread is in.
    const text = await inSandbox(record, () => readFileSync('/proc/thread-self/net/dev', 'utf8'))
    return { ...parseCounters(text), at: performance.now() }
  } catch {
    return undefined
  }
}

/** The sums of /proc/net/dev: per line a name, then eight numbers of what was received, then eight of what was sent. */
export function parseCounters(text: string): { received: number; sent: number } {
  const lines = text.split('\n').map((line) => /^\s*([^\s:]+):\s*(.*)$/.exec(line))
  const links = lines.filter((match) => match !== null).filter(([, name]) => name !== 'lo')
  const sum = (column: number) =>
    links.reduce((total, [, , numbers = '']) => total + Number(numbers.split(/\s+/)[column] ?? 0), 0)
  return { received: sum(0), sent: sum(8) }
}

/** Undefined where there are not two readings of it yet. */
export function ratesBetween(before: Traffic | undefined, after: Traffic | undefined): Rates | undefined {
  if (!before || !after || after.at <= before.at) return undefined
  const perSecond = (bytes: number) => (Math.max(0, bytes) * 8 * 1000) / (after.at - before.at)
  return {
    received: perSecond(after.received - before.received),
    sent: perSecond(after.sent - before.sent),
  }
}

/** `0`, `512`, `1.5k`, `20M`: bits per second, as limits are given. */
export function formatRate(bits: number): string {
  const units = [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const
  const [unit, size] = units.find(([, one]) => bits >= one) ?? ['', 1]
  const value = bits / size
  return `${value >= 10 || unit === '' ? Math.round(value) : value.toFixed(1)}${unit}`
}
