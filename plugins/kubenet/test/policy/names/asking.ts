import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, decode, encode, type Packet, type RecordType } from 'dns-packet'

export interface Heard {
  readonly code: number
  readonly truncated: boolean
  readonly answers: readonly Answer[]
  readonly bytes: Buffer
}

export interface AskOptions {
  readonly type?: RecordType | `UNKNOWN_${number}`
  /** Bytes that it says it takes; 0 for one that doesn't know EDNS. By default 1232. */
  readonly edns?: number
  /** Where it asks from: any of loopback. */
  readonly from?: string
  readonly packet?: Packet
}

export function question(name: string, { type = 'A', edns = 1232, packet = {} }: AskOptions = {}): Buffer {
  return encode({
    type: 'query',
    id: 4711,
    flags: 0x100,
    // The library takes more types than its typings have.
    questions: [{ name, type: type as RecordType }],
    additionals:
      edns === 0
        ? []
        : [
            {
              ...{ type: 'OPT', name: '.', udpPayloadSize: edns, extendedRcode: 0, ednsVersion: 0, flags: 0 },
              ...{ flag_do: false, options: [] },
            },
          ],
    ...packet,
  })
}

/** Asks over UDP. Rejects when nothing comes back in ten seconds. */
export async function ask(port: number, name: string, options: AskOptions = {}): Promise<Heard> {
  const heard = await send(port, question(name, options), 10_000, options.from)
  if (!heard) throw new Error(`no answer for ${name}`)
  return heard
}

/** Sends bytes over UDP; undefined when nothing comes back in time. */
export async function send(
  port: number,
  bytes: Buffer,
  timeout: number,
  from = '127.0.0.1',
): Promise<Heard | undefined> {
  const socket = createSocket('udp4')
  const over = new AbortController()
  try {
    socket.bind(0, from)
    await once(socket, 'listening')
    socket.send(bytes, port, '127.0.0.1')
    const late = sleep(timeout, undefined, { signal: over.signal })
    late.catch(() => undefined)
    const heard = await Promise.race([once(socket, 'message'), late])
    return heard ? read(heard[0]) : undefined
  } finally {
    over.abort()
    socket.close()
  }
}

export async function askOverTcp(port: number, name: string, options: AskOptions = {}): Promise<Heard> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: options.from ?? '127.0.0.1' })
  const bytes = question(name, options)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  socket.write(Buffer.concat([length, bytes]))
  let received = Buffer.alloc(0)
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk])
    if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) break
  }
  socket.destroy()
  return read(received.subarray(2))
}

function read(bytes: Buffer): Heard {
  const { flag_tc: truncated, answers = [] } = decode(bytes)
  return { code: bytes.readUInt16BE(2) & 15, truncated, answers, bytes }
}

/** Addresses alone, in order. */
export const addressesOf = ({ answers }: Heard) =>
  answers.flatMap((answer) => (answer.type === 'A' || answer.type === 'AAAA' ? [answer.data] : []))
