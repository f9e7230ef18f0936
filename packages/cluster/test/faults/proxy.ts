import { connect, createServer, type Socket } from 'node:net'
import { afterThis } from '../leases/members.ts'

/** What becomes of bytes on the way. */
export type Passage = 'open' | 'silent' | 'answers-lost' | 'slow' | 'refused'

/** The way of one node to an etcd, which a test closes as a network does: without a word, or in one direction alone. */
export async function startProxy(endpoint: string, address = '127.0.0.1') {
  const { hostname, port } = new URL(endpoint)
  const sockets = new Set<Socket>()
  let passage: Passage = 'open'
  /** Milliseconds that all bytes take in each direction while it is slow. */
  const delayMs = 500

  const server = createServer((client) => {
    if (passage === 'refused') return void client.resetAndDestroy()
    const upstream = connect(Number(port), hostname)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    const pass = (from: Socket, to: Socket, isAnswer: boolean) => {
      from.on('data', (bytes) => {
        if (passage === 'silent' || (passage === 'answers-lost' && isAnswer)) return
        if (passage === 'slow') setTimeout(() => to.writable && to.write(bytes), delayMs)
        else to.write(bytes)
      })
      from.on('close', () => to.destroy())
    }
    pass(client, upstream, false)
    pass(upstream, client, true)
  }).listen(0, address)
  await new Promise((resolve) => server.once('listening', resolve))
  const { port: own } = server.address() as { port: number } // of a TCP server
  afterThis(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    endpoint: `http://${address}:${own}`,
    set(next: Passage) {
      passage = next
      if (next === 'refused') for (const socket of sockets) socket.destroy()
    },
  }
}
