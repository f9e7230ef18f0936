import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { promisify } from 'node:util'
import type { TestNetns } from '@podwire/testing'

/** What a command printed on stdout. */
export async function run(file: string, args: readonly string[]): Promise<string> {
  return (await promisify(execFile)(file, args)).stdout
}

/** Runs `use` beside a Node program in a namespace, or here, that prints something when it is ready. */
export async function beside<Value>(
  netns: TestNetns | undefined,
  program: string,
  use: () => Promise<Value>,
): Promise<Value> {
  const enter = netns ? ['ip', 'netns', 'exec', netns.name] : ['env']
  const [file = '', ...args] = [...enter, process.execPath, '-e', program]
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await once(child.stdout, 'data')
    return await use()
  } finally {
    child.kill('SIGKILL')
  }
}

/** What a TCP server in `to` sees as the address of a client in `from`; undefined stands for here. */
export function senderSeen(from: TestNetns | undefined, to: TestNetns | undefined, address: string) {
  const server = `require('node:net').createServer((s) => s.end(s.remoteAddress.replace('::ffff:', '')))
    .listen(9001, () => console.log('up'))`
  const client = `const s = require('node:net').connect({ port: 9001, host: '${address}', timeout: 5000 })
    s.on('data', (d) => process.stdout.write(d)).on('timeout', () => s.destroy(new Error('no answer')))`
  return beside(to, server, () =>
    from ? from.run(process.execPath, '-e', client) : run(process.execPath, ['-e', client]),
  )
}

/** Seconds that `bytes` take from here to a program in the namespace. */
export function transfer(netns: TestNetns, address: string, bytes: number): Promise<number> {
  const sink = `require('node:net').createServer((s) => { let n = 0; s.on('data', (d) => { n += d.length
    if (n === ${bytes}) s.end('all') }) }).listen(9000, () => console.log('up'))`
  return beside(netns, sink, async () => {
    const socket = createConnection(9000, address)
    const started = performance.now()
    socket.write(Buffer.alloc(bytes))
    await once(socket, 'data')
    socket.destroy()
    return (performance.now() - started) / 1000
  })
}
