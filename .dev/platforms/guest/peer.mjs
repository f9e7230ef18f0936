// One end of a connection: `serve PORT`, or `fetch`, which reads lines of `ADDRESS PORT BYTES` and prints what came as JSON.
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'

/**
 * Asks a server for so many bytes.
 * @returns {Promise<{from: string, bytes: number, ms: number}>} the address that the server saw, what it sent, and how long that took
 */
export function fetchFrom(address, port, bytes) {
  return new Promise((resolve, reject) => {
    const started = performance.now()
    const socket = connect({ host: address, port }, () => socket.write(`${bytes}\n`))
    const chunks = []
    socket.setTimeout(30_000, () => socket.destroy(new Error(`${address} port ${port}: nothing for 30 s`)))
    socket.on('error', reject)
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('end', () => {
      const answer = Buffer.concat(chunks)
      const end = answer.indexOf('\n')
      const from = answer.toString('latin1', 0, end)
      resolve({ from, bytes: answer.length - end - 1, ms: Math.round(performance.now() - started) })
    })
  })
}

function serve(port) {
  createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (request) => {
      socket.write(`${socket.remoteAddress.replace(/^::ffff:/, '')}\n`)
      socket.end(Buffer.alloc(Number(request)))
    })
  }).listen(port, () => console.log('ready'))
}

const [verb, port] = process.argv.slice(2)
if (verb === 'serve') serve(Number(port))
if (verb === 'fetch') {
  console.log('ready')
  for await (const line of createInterface({ input: process.stdin })) {
    const [address, port, bytes] = line.split(' ')
    const answer = await fetchFrom(address, Number(port), Number(bytes)).catch(({ message }) => ({ message }))
    console.log(JSON.stringify(answer))
  }
}
