import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Keeps the connections of a server below a limit: a new one takes the place of that which has been idle the longest, so
 * that nobody is kept out by connections that nobody uses. Where all are busy, the new one is closed.
 */
export function limitConnections(server: Server, most: number): { close(patienceMs: number): Promise<void> } {
  // In the order in which they became idle.
  const idle = new Set<Socket>()
  // Each with how many requests of it are being answered.
  const all = new Map<Socket, number>()
  let isClosing = false
  let onClosed = () => {}
  server.on('connection', (socket) => {
    all.set(socket, 0)
    idle.add(socket)
    socket.on('close', () => {
      all.delete(socket)
      idle.delete(socket)
      if (all.size === 0) onClosed()
    })
    if (all.size <= most) return
    const [longest = socket] = idle
    all.delete(longest)
    idle.delete(longest)
    longest.destroy()
  })
  const count = (socket: Socket, by: number) => {
    const busy = all.get(socket)
    if (busy === undefined) return
    all.set(socket, busy + by)
    if (busy + by > 0) idle.delete(socket)
    else if (isClosing) socket.destroySoon()
    else idle.add(socket)
  }
  server.on('request', ({ socket }, response) => {
    count(socket, 1)
    response.on('close', () => count(socket, -1))
  })
  return {
    /** Ends all of them, those that wait for an answer after it. */
    close: async (patienceMs) => {
      isClosing = true
      for (const socket of idle) socket.destroySoon()
      if (all.size === 0) return
      const timer = setTimeout(() => {
        for (const socket of all.keys()) socket.destroy()
      }, patienceMs)
      await new Promise<void>((resolve) => {
        onClosed = resolve
      })
      clearTimeout(timer)
    },
  }
}
