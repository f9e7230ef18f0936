import { createSocket } from 'node:dgram'
import { connect, isIPv4, isIPv6 } from 'node:net'

export interface Server {
  readonly address: string
  readonly port: number
}

/** What to make of a message: `undefined` waits for another. Never throws. */
export type Read<T> = (message: Buffer) => T | undefined

/** Messages that answer something else, after which waiting is over: someone guesses. */
const MOST_STRAYS = 20

/** `1.2.3.4`, `1.2.3.4:5353`, `::1`, `[::1]:5353`, as node:dns has it. Undefined for what is none of these. */
export function parseServer(text: string): Server | undefined {
  const [, bracketed, v4, port] = /^(?:\[([^\]]+)\]|([\d.]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const address = bracketed ?? v4 ?? text
  const number = port === undefined ? 53 : Number(port)
  const isAddress = isIPv4(address) || isIPv6(address)
  return isAddress && number > 0 && number < 65536 ? { address, port: number } : undefined
}

/**
 * Asks over UDP from a port of its own, which the kernel picks at random; the kernel also drops what does not come from the
 * server. Settles by the deadline, and keeps nothing open.
 * @param timeout milliseconds
 */
export function askOverUdp<T>(server: Server, question: Buffer, read: Read<T>, timeout: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(server.address) ? 'udp6' : 'udp4')
    const timer = setTimeout(
      () => end(() => reject(new Error(`no answer within ${Math.round(timeout)} ms`))),
      timeout,
    )
    // Whoever ends while this is under way need not wait for it.
    timer.unref()
    socket.unref()
    let strays = 0
    let ended = false
    const end = (settle: () => void) => {
      if (ended) return
      ended = true
      clearTimeout(timer)
      socket.close()
      settle()
    }
    const fail = (error: unknown) => end(() => reject(error))
    socket.on('error', fail)
    socket.on('message', (message) => {
      if (ended) return
      const found = read(message)
      if (found !== undefined) end(() => resolve(found))
      else if (++strays >= MOST_STRAYS) fail(new Error(`${strays} answers to something else`))
    })
    socket.connect(server.port, server.address, () => {
      if (!ended) socket.send(question, (error) => error && fail(error))
    })
  })
}

/** Asks over TCP, a connection for each question. As {@link askOverUdp}. */
export function askOverTcp<T>(server: Server, question: Buffer, read: Read<T>, timeout: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: server.address, port: server.port })
    const timer = setTimeout(
      () => fail(new Error(`no answer within ${Math.round(timeout)} ms over TCP`)),
      timeout,
    )
    timer.unref()
    socket.unref()
    const end = () => {
      clearTimeout(timer)
      socket.destroy()
    }
    const fail = (error: unknown) => {
      end()
      reject(error)
    }
    let received = Buffer.alloc(0)
    socket.on('error', fail)
    socket.on('close', () => fail(new Error('the connection ended without an answer')))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      // Two bytes of length let it be no longer than 64 kB, and there is one answer.
      const length = received.length < 2 ? Number.POSITIVE_INFINITY : received.readUInt16BE(0)
      if (received.length - 2 < length) return
      const found = read(received.subarray(2, 2 + length))
      if (found === undefined) return fail(new Error('an answer to something else over TCP'))
      end()
      resolve(found)
    })
    const framed = Buffer.alloc(2 + question.length)
    framed.writeUInt16BE(question.length)
    question.copy(framed, 2)
    socket.write(framed)
  })
}
