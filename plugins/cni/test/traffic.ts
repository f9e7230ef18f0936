import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import type { TestNetns } from '@podwire/testing'

/** What a command printed on stdout. */
export async function run(file: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)(file, args)).stdout
}

/** Runs `use` beside a Node program in the namespace, from when that has printed something. */
export async function beside<Value>(netns: TestNetns, program: string, use: () => Promise<Value>) {
  const args = ['netns', 'exec', netns.name, process.execPath, '-e', program]
  const child = spawn('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    await once(child.stdout, 'data')
    return await use()
  } finally {
    child.kill('SIGKILL')
  }
}

/** An HTTP server on port 80 that answers with `text`. */
export const webServer = (text: string) =>
  `require('node:http').createServer((_, s) => s.end('${text}')).listen(80, '::', () => console.log('up'))`

/** Bits per second from here to a program in the namespace, after what the burst lets through. */
export async function rateTowards(netns: TestNetns, address: string, bits: number, burst: number) {
  const bytes = bits / 8
  const sink = `require('node:net').createServer((s) => { let n = 0; s.on('data', (d) => { n += d.length
    if (n >= ${bytes}) s.end('all') }) }).listen(9000, () => console.log('up'))`
  return beside(netns, sink, async () => {
    const socket = connect(9000, address)
    const started = performance.now()
    socket.write(Buffer.alloc(bytes))
    await once(socket, 'data')
    socket.destroy()
    return ((bits - burst) * 1000) / (performance.now() - started)
  })
}
