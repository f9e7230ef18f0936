import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { type Answer, type DecodedPacket, decode, encode, type Packet } from 'dns-packet'

/** A question as an upstream gets it. */
export interface Asked {
  readonly name: string
  readonly type: string
  readonly transport: 'udp' | 'tcp'
  readonly packet: DecodedPacket
  /** Sends bytes back as they are; over UDP any number of times. */
  reply(bytes: Buffer): void
}

/** What an upstream says: records, a whole packet, bytes, or nothing at all where it sends by itself, or never. */
export type Reply = readonly Answer[] | Packet | Buffer | undefined

export interface Upstream {
  /** As the resolver takes it. */
  readonly server: string
  /** Each question so far: `udp A example.org`. */
  readonly asked: string[]
  answer: (asked: Asked) => Reply | Promise<Reply>
  close(): Promise<void>
}

/** A real server, on UDP and TCP, that says what a test wants. */
export async function startUpstream(answer: Upstream['answer']): Promise<Upstream> {
  const udp = createSocket('udp4')
  udp.bind(0, '127.0.0.1')
  await once(udp, 'listening')
  const { port } = udp.address()
  const connections = new Set<Socket>()
  const tcp = createServer((socket) => {
    connections.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      take(bytes.subarray(2), 'tcp', (reply) => {
        const length = Buffer.alloc(2)
        length.writeUInt16BE(reply.length)
        socket.write(Buffer.concat([length, reply]))
      })
    })
  }).listen(port, '127.0.0.1')
  await once(tcp, 'listening')
  const upstream: Upstream = {
    server: `127.0.0.1:${port}`,
    asked: [],
    answer,
    async close() {
      udp.close()
      for (const socket of connections) socket.destroy()
      tcp.close()
      await once(tcp, 'close')
    },
  }
  udp.on('message', (bytes, { port, address }) => {
    take(bytes, 'udp', (reply) => udp.send(reply, port, address))
  })
  return upstream

  async function take(bytes: Buffer, transport: 'udp' | 'tcp', reply: (bytes: Buffer) => void) {
    const packet = decode(bytes)
    const [question] = packet.questions ?? []
    if (!question) return
    upstream.asked.push(`${transport} ${question.type} ${question.name}`)
    const said = await upstream.answer({ ...question, transport, packet, reply })
    if (said) reply(toBytes(packet, said))
  }
}

function toBytes(packet: DecodedPacket, said: NonNullable<Reply>): Buffer {
  if (Buffer.isBuffer(said)) return said
  // TypeScript doesn't take a readonly array for one.
  const given = Array.isArray(said) ? { answers: said as Answer[] } : (said as Packet)
  const { id = 0, questions = [] } = packet
  return encode({ type: 'response', id, questions, ...given })
}

/** The flags of a packet with this code. */
export const withCode = (code: number): Packet => ({ flags: 0x180 | code })

export const a = (name: string, data: string, ttl = 300): Answer => ({ type: 'A', name, data, ttl })
export const aaaa = (name: string, data: string, ttl = 300): Answer => ({ type: 'AAAA', name, data, ttl })
export const cname = (name: string, data: string, ttl = 300): Answer => ({ type: 'CNAME', name, data, ttl })
export const soa = (name: string, minimum: number): Answer => ({
  type: 'SOA',
  name,
  ttl: 3600,
  data: { mname: `ns.${name}`, rname: `admin.${name}`, minimum },
})
