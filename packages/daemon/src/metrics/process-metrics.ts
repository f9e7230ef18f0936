import { readdirSync } from 'node:fs'
import { Gauge, Histogram, type Registry } from 'prom-client'

/** How often the event loop is looked at: an idle daemon wakes up for this alone. Milliseconds. */
const lookMs = 1_000

/**
 * What the process itself takes. The library's own set of these wakes the process up a hundred times a second to measure
 * the event loop; once is enough to see one that is held up. Returns what ends the measuring.
 */
export function measureProcess(registry: Registry): () => void {
  const registers = [registry]
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss())
  gauge('nodejs_heap_used_bytes', "What of V8's heap is in use.", () => process.memoryUsage().heapUsed)
  gauge('process_open_fds', 'Open file descriptors.', () => readdirSync('/proc/self/fd').length)
  gauge('process_cpu_seconds_total', 'Time on a processor, of user and system together.', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  const started = Date.now() / 1000 - process.uptime()
  gauge('process_start_time_seconds', 'When the process was started, since the epoch.', () => started)

  const delay = new Histogram({
    name: 'podwire_event_loop_delay_seconds',
    help: 'How much later than it should the event loop came to a timer, looked at once a second.',
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers,
  })
  let due = performance.now() + lookMs
  const timer = setInterval(() => {
    const now = performance.now()
    delay.observe(Math.max(0, now - due) / 1000)
    due = now + lookMs
  }, lookMs)
  timer.unref()
  return () => clearInterval(timer)
}
