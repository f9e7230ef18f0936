import { createServer, type Server, type Socket } from 'node:net'
import type { ResolverLimits } from './limits.ts'

/** The answer's bytes; undefined where none is due. Never rejects. */
export type Handle = (question: Buffer, source: string) => Promise<Buffer | undefined>

/** No question is as long: a name and some options. */
const MOST_QUESTION = 4_096
/** Questions of one connection that are answered at the same time. */
const MOST_PENDING = 16
/** Answers that nobody reads, in bytes. */
const MOST_UNREAD = 256 * 1024

export interface TcpListener {
  readonly server: Server
  connections(): number
  /** Ends connections too. */
  close(): Promise<void>
}

/** Questions over TCP, each with two bytes of length before it. What breaks a limit is cut off. */
export function createTcpListener(handle: Handle, limits: ResolverLimits): TcpListener {
  const open = new Set<Socket>()
  const ofSource = new Map<string, number>()

  const server = createServer((socket) => {
    const source = socket.remoteAddress ?? ''
    const count = ofSource.get(source) ?? 0
    if (open.size >= limits.connections || count >= limits.connectionsPerPod) return socket.destroy()
    open.add(socket)
    ofSource.set(source, count + 1)
    socket.once('close', () => {
      open.delete(socket)
      const left = (ofSource.get(source) ?? 1) - 1
      if (left > 0) ofSource.set(source, left)
      else ofSource.delete(source)
    })
    serve(socket, source, handle, limits.idle)
  })
  return {
    server,
    connections: () => open.size,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of open) socket.destroy()
      }),
  }
}

function serve(socket: Socket, source: string, handle: Handle, idle: number): void {
  let received: Buffer = Buffer.alloc(0)
  let pending = 0
  // From whole question to whole question, so that one byte now and then keeps nothing open.
  const timer = setTimeout(() => socket.destroy(), idle)
  socket.once('close', () => clearTimeout(timer))
  // A client that goes away is none of our business.
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    takeQuestions()
  })

  function takeQuestions(): void {
    while (received.length >= 2 && pending < MOST_PENDING) {
      const length = received.readUInt16BE(0)
      if (length > MOST_QUESTION) return void socket.destroy()
      if (received.length < 2 + length) break
      const question = received.subarray(2, 2 + length)
      received = received.subarray(2 + length)
      pending++
      timer.refresh()
      answer(question)
    }
    if (pending < MOST_PENDING) socket.resume()
    else socket.pause()
  }

  async function answer(question: Buffer): Promise<void> {
    const bytes = await handle(question, source)
    pending--
    if (socket.destroyed) return
    // What isn't a question is not a client.
    if (!bytes || socket.writableLength > MOST_UNREAD) return void socket.destroy()
    const length = Buffer.alloc(2)
    length.writeUInt16BE(bytes.length)
    socket.write(Buffer.concat([length, bytes]))
    timer.refresh()
    takeQuestions()
  }
}
