// Runs a command that somebody else wrote: it reaches what the list allows and nothing else, by whatever protocol. What it does is
// shown while it does it, and summed up at the end.
import { parseArgs } from 'node:util'
import { createNetworkHost } from 'podwire'
import { type Seen, summary, watchFlows } from './flows.ts'
import { runStranger } from './stranger-process.ts'

const usage = 'usage: npm start -- [--allow HOST[:PORT] …] [--seconds 60] [--json] -- COMMAND…'

const { values, positionals: command } = parsedArgs()
const seconds = Number(values.seconds)
if (values.help) {
  console.log(usage)
  process.exit(0)
}
if (command.length === 0 || !(seconds > 0)) {
  console.error(usage)
  process.exit(2)
}

const host = await createNetworkHost({
  cwd: import.meta.dirname,
  config: { networkPlugin: 'kubenet', podCIDR: '10.91.0.0/24' },
})
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())

const pod = { namespace: 'agent-sandbox', name: `job-${process.pid}` }
const allow = values.allow.map((text) => {
  const [name = '', port] = text.split(':')
  return { host: name, ...(port === undefined ? {} : { ports: [Number(port)] }) }
})
const policy = { egress: { default: 'deny', allow }, ingress: { default: 'deny' } } as const

const say = (line: string) => (values.json ? console.error(line) : console.log(line))
const flows = await watchFlows(host, pod, say)
let seen: readonly Seen[]
try {
  const sandbox = await host.setUpPod(
    { ...pod, policy, ownerPid: process.pid },
    { signal: interrupted.signal },
  )
  say(`${pod.name} has ${sandbox.status?.ip}, and may reach ${values.allow.join(', ') || 'nothing'}`)
  const ended = await runStranger(sandbox, command, {
    milliseconds: seconds * 1000,
    signal: interrupted.signal,
    stdout: values.json ? 2 : 1,
  })
  say(`it ended: ${ended.why}`)
  process.exitCode = ended.exitCode
} finally {
  await host.tearDownPod(pod)
  // What it reached last is known when its pod is gone.
  seen = await flows.end()
  await host.close()
}
if (values.json) console.log(JSON.stringify(seen))
else for (const line of summary(seen)) console.log(line)

function parsedArgs() {
  try {
    return parseArgs({
      options: {
        allow: { type: 'string', multiple: true, default: [] },
        seconds: { type: 'string', default: '60' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
      allowPositionals: true,
    })
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${usage}`)
    process.exit(2)
  }
}
