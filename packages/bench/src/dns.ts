import { type ChildProcess, fork } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createResolver } from '@podwire/plugin-kubenet/resolver'
import { recordingLogger } from '@podwire/testing'
import { type Figure, figure, median } from './figure.ts'

const alone = 5_000
const rounds = 5
const inRound = 20_000
/** Questions under way at once, when many are asked. */
const window = 64

/** Names through the resolver of pods, from its cache; beside a server of Node that sends every packet back as it is. */
export async function dns(): Promise<Figure[]> {
  const [resolver, echo] = [await startServer('resolver'), await startServer('echo')]
  try {
    for (const server of [resolver, echo]) await askAlone(server, 500)
    const latencies = { ours: [] as number[], reference: [] as number[] }
    const rates = { ours: [] as number[], reference: [] as number[] }
    const cores = { ours: [] as number[], reference: [] as number[] }
    for (let round = 0; round < rounds; round++) {
      for (const [name, server] of [
        ['reference', echo],
        ['ours', resolver],
      ] as const) {
        latencies[name].push(...(await askAlone(server, alone / rounds)))
        const { seconds, cpuSeconds } = await askMany(server, inRound)
        rates[name].push(inRound / seconds)
        cores[name].push(inRound / cpuSeconds)
      }
    }
    return [
      figure({
        bench: 'dns',
        row: 'a name from the cache, p50; a packet sent back',
        unit: 'ms',
        ours: median(latencies.ours),
        reference: median(latencies.reference),
        goal: 'ours ≤ 0.2 ms',
      }),
      figure({
        bench: 'dns',
        row: 'names from the cache, of one client that is a core too; packets sent back',
        unit: '/s',
        ours: median(rates.ours),
        reference: median(rates.reference),
        goal: 'ours ≥ 10,000/s',
      }),
      figure({
        bench: 'dns',
        row: 'names from the cache in a second of processor time; packets sent back',
        unit: '/s',
        ours: median(cores.ours),
        reference: median(cores.reference),
        goal: 'ours ≥ 10,000/s',
      }),
    ]
  } finally {
    for (const { process, socket } of [resolver, echo]) {
      process.disconnect()
      socket.close()
    }
  }
}

interface Server {
  readonly process: ChildProcess
  readonly socket: Socket
}

/** A question for example.org, A, of a client that speaks EDNS. */
const QUESTION = Buffer.from(
  '12340100000100000000000107657861 6d706c65036f72670000010001 00002904d0000000000000'.replaceAll(' ', ''),
  'hex',
)

async function startServer(what: 'resolver' | 'echo'): Promise<Server> {
  const process = fork(new URL(import.meta.url), [what])
  const [port] = await once(process, 'message')
  const socket = createSocket('udp4')
  socket.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return { process, socket }
}

/** One after the other, in milliseconds each. */
async function askAlone({ socket }: Server, times: number): Promise<number[]> {
  const samples: number[] = []
  for (let i = 0; i < times; i++) {
    const started = performance.now()
    const answered = new Promise((resolve) => socket.once('message', resolve))
    socket.send(QUESTION)
    await answered
    samples.push(performance.now() - started)
  }
  return samples
}

/** Many at once. What the server's process took of a processor is counted too. */
async function askMany(
  { process, socket }: Server,
  times: number,
): Promise<{ seconds: number; cpuSeconds: number }> {
  const before = await cpuSecondsOf(process)
  const started = performance.now()
  await new Promise<void>((resolve) => {
    let [sent, heard] = [0, 0]
    const send = () => {
      sent++
      socket.send(QUESTION)
    }
    const onMessage = () => {
      if (++heard === times) {
        socket.off('message', onMessage)
        resolve()
      } else if (sent < times) send()
    }
    socket.on('message', onMessage)
    for (let i = 0; i < window; i++) send()
  })
  const seconds = (performance.now() - started) / 1000
  return { seconds, cpuSeconds: (await cpuSecondsOf(process)) - before }
}

async function cpuSecondsOf(server: ChildProcess): Promise<number> {
  const answered = once(server, 'message')
  server.send('cpu')
  const [seconds] = await answered
  return seconds
}

/** What runs in a process of its own. */
async function serve(what: string): Promise<void> {
  const port = what === 'echo' ? await serveEcho() : await serveNames()
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.((user + system) / 1e6)
  })
  process.on('disconnect', () => process.exit(0))
  process.send?.(port)
}

async function serveEcho(): Promise<number> {
  const socket = createSocket('udp4')
  socket.on('message', (bytes, { port, address }) => socket.send(bytes, port, address))
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket.address().port
}

async function serveNames(): Promise<number> {
  const upstream = createSocket('udp4')
  upstream.on('message', (question, { port, address }) => {
    // The question, its name in two bytes, an A record, a day: 8.8.8.8.
    const head = Buffer.from(question.subarray(0, 29))
    head.writeUInt16BE(0x8180, 2)
    head.writeUInt32BE(1 << 16, 6)
    head.writeUInt16BE(0, 10)
    upstream.send(
      Buffer.concat([head, Buffer.from('c00c000100010001518000 0408080808'.replace(' ', ''), 'hex')]),
      port,
      address,
    )
  })
  upstream.bind(0, '127.0.0.1')
  await once(upstream, 'listening')
  const { port } = await createResolver({
    upstreams: { servers: [`127.0.0.1:${upstream.address().port}`], search: [] },
    listen: { addresses: ['127.0.0.1'], port: 0 },
    decide: (_, name) => (name === 'example.org' ? 'allow' : 'refuse'),
    admit: async () => undefined,
    // All come from one client, where pods would be many.
    limits: { questionsPerSecond: 1e9, questionsAtOnce: 1e9 },
    log: recordingLogger(),
  })
  return port
}

if (process.send) await serve(process.argv[2] ?? '')
