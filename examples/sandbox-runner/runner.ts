// Runs a command many times at once, each in a pod of its own: a bandwidth limit both ways, a published port, a time limit.
// A table shows how they fare; whatever happens, the pods are gone at the end.
import { parseArgs } from 'node:util'
import { createNetworkHost } from 'podwire'
import { type Job, runJob } from './job.ts'
import { showJobs } from './table.ts'

const usage =
  'usage: npm start -- [--count 4] [--rate 10M] [--port 18080] [--seconds 30] -- COMMAND…   (it gets JOB and PORT)'

const { values, positionals: command } = parseArgs({
  options: {
    count: { type: 'string', default: '4' },
    rate: { type: 'string', default: '10M' },
    port: { type: 'string', default: '18080' },
    seconds: { type: 'string', default: '30' },
  },
  allowPositionals: true,
})
const [count, port, seconds] = [values.count, values.port, values.seconds].map(Number) as [
  number,
  number,
  number,
]
if (command.length === 0 || ![count, port, seconds].every((value) => Number.isInteger(value) && value > 0)) {
  console.error(usage)
  process.exit(2)
}

const host = await createNetworkHost({
  cwd: import.meta.dirname,
  config: { networkPlugin: 'kubenet', podCIDR: '10.90.0.0/24' },
})
const jobs = Array.from(
  { length: count },
  (_, index): Job => ({ name: `job-${index}`, hostPort: port + index, state: 'waiting' }),
)
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())

const table = showJobs(jobs)
await Promise.all(
  jobs.map((job) =>
    runJob(host, job, {
      command,
      rate: values.rate,
      seconds,
      signal: interrupted.signal,
      changed: table.refresh,
    }),
  ),
)
table.end()
await host.close()
process.exitCode = jobs.every(({ state }) => state === 'done') ? 0 : 1
