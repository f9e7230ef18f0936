import { once } from 'node:events'
import { connect } from 'node:net'
import type { Machine } from './machine.ts'

const serving = `
  const [port, text] = process.argv.slice(1)
  require('node:net').createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', () => {})
    socket.write(text + '\\n')
  }).listen(Number(port), () => console.log('listening'))
`

/** Has a program in a network namespace say this to whoever connects, and swallow what it is told. */
export async function answering(machine: Machine, netns: string, port: number, text: string) {
  const child = machine.start(
    'nsenter',
    `--net=${netns}`,
    process.execPath,
    '-e',
    serving,
    String(port),
    text,
  )
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  return { stop: () => child.kill('SIGKILL') }
}

/** The first line that somebody there says. */
export async function ask(address: string, port: number): Promise<string> {
  const socket = connect(port, address)
  try {
    let text = ''
    for await (const chunk of socket) {
      text += chunk
      if (text.includes('\n')) break
    }
    return text.trim()
  } finally {
    socket.destroy()
  }
}

/** How many bytes somebody there takes in that time. */
export async function bytesWithin(address: string, port: number, ms: number): Promise<number> {
  const socket = connect(port, address)
  await once(socket, 'connect')
  const chunk = Buffer.alloc(64 * 1024)
  let isOver = false
  const timer = setTimeout(() => {
    isOver = true
    socket.destroy()
  }, ms)
  socket.on('error', () => {})
  const fill = () => {
    while (!isOver && socket.write(chunk));
  }
  socket.on('drain', fill)
  fill()
  await once(socket, 'close')
  clearTimeout(timer)
  return socket.bytesWritten - socket.writableLength
}
