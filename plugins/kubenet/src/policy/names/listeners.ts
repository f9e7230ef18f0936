import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import type { ResolverLimits } from './limits.ts'
import { createTcpListener, type Handle } from './tcp-listener.ts'

export interface Listeners {
  readonly port: number
  connections(): number
  close(): Promise<void>
}

/** Times that a port free for UDP may be taken for TCP before that is an error. */
const MOST_TRIES = 10

/**
 * Listens on UDP and TCP of each address, on one port.
 * @param port 0: one that is free
 * @throws Error of the system when an address can't be had, with nothing left open
 */
export async function listen(
  { addresses, port }: { readonly addresses: readonly string[]; readonly port: number },
  limits: ResolverLimits,
  handle: { readonly udp: Handle; readonly tcp: Handle },
  onError: (error: Error) => void,
): Promise<Listeners> {
  for (let tries = 1; ; tries++) {
    try {
      return await listenOnce(addresses, port, limits, handle, onError)
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
      if (port !== 0 || !isTaken || tries >= MOST_TRIES) throw error
    }
  }
}

async function listenOnce(
  addresses: readonly string[],
  wanted: number,
  limits: ResolverLimits,
  handle: { readonly udp: Handle; readonly tcp: Handle },
  onError: (error: Error) => void,
): Promise<Listeners> {
  const sockets: Socket[] = []
  const tcp = addresses.map(() => createTcpListener(handle.tcp, limits))
  const close = async () => {
    await Promise.all([...sockets.map(closeSocket), ...tcp.map((listener) => listener.close())])
  }
  let port = wanted
  try {
    for (const [at, address] of addresses.entries()) {
      const socket = openSocket(address)
      sockets.push(socket)
      const listening = once(socket, 'listening')
      socket.bind({ address, port, exclusive: true })
      await listening
      port = socket.address().port
      const server = tcp[at]?.server.listen({ host: address, port, ipv6Only: true, exclusive: true })
      if (server) await once(server, 'listening')
      server?.on('error', onError)
      serve(socket, handle.udp, onError)
    }
  } catch (error) {
    await close()
    throw error
  }
  return { port, close, connections: () => tcp.reduce((sum, listener) => sum + listener.connections(), 0) }
}

function openSocket(address: string): Socket {
  const family = isIPv6(address) ? 6 : 4
  return createSocket({
    ...(family === 6 ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' }),
    // Answers go to addresses, which nothing needs to be asked about.
    lookup: (host, _options, found) => found(null, host, family),
  })
}

function serve(socket: Socket, handle: Handle, onError: (error: Error) => void): void {
  let isOpen = true
  socket.once('close', () => {
    isOpen = false
  })
  socket.on('error', onError)
  socket.on('message', async (question, { address, port }) => {
    // Nothing can be sent to it.
    if (port === 0) return
    const answer = await handle(question, address)
    // A client that can't be reached is gone.
    if (answer && isOpen) socket.send(answer, port, address, () => undefined)
  })
}

function closeSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()))
}
