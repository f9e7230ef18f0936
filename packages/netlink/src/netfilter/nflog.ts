import { readFileSync } from 'node:fs'
import { errnoOf } from '@podwire/api'
import { errors } from '../errors.ts'
import type { Netlink } from '../socket/netlink.ts'
import type { Request } from '../socket/request.ts'
import { runOn } from '../socket/run.ts'
import { closeSocket } from '../socket/socket.ts'
import { subscribe } from '../socket/subscription.ts'
import { present } from '../wire/attributes.ts'
import { readBe16, readBe64, readU8, slice } from '../wire/bytes.ts'
import { NLM_F_ACK } from '../wire/constants.ts'
import { attributes, be16, be32, bytes, type Field, text, u8 } from '../wire/fields.ts'
import { decodeMac } from '../wire/ip.ts'
import type { Message } from '../wire/message.ts'
import { encodeNetfilter, netfilterRequest, subsystem } from './nfnetlink.ts'

/** A packet that a rule logged. What doesn't apply is absent. */
export interface LoggedPacket {
  readonly group: number
  /** As the rule says; empty where it says nothing. */
  readonly prefix: string
  /** From the network header on, as long as was asked for. */
  readonly packet: Buffer
  /** Ethertype: 0x0800 IPv4, 0x86dd IPv6. */
  readonly protocol: number
  /** Indexes of links: where it came in, and where it would go out. */
  readonly indev?: number
  readonly outdev?: number
  /** Of a bridge: the port. */
  readonly physIndev?: number
  readonly physOutdev?: number
  /** The MAC address it came from. */
  readonly hwaddr?: string
  readonly mark?: number
  /** In milliseconds since 1970, of packets that came in. */
  readonly timestamp?: number
  /** One more than that of the packet before, from 0, unless some were lost in between. */
  readonly sequence: number
}

export interface NflogOptions {
  /** How much of each packet to pass on, in bytes; a rule may say less. Default: 128, which holds the headers. */
  readonly length?: number
  /** Keeps the process alive; default: true. */
  readonly ref?: boolean
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal
}

// linux/netfilter/nfnetlink_log.h
const NFULNL_MSG_PACKET = 0
const NFULNL_MSG_CONFIG = 1
const NFULNL_CFG_CMD_BIND = 1
const NFULNL_COPY_PACKET = 2
const NFULNL_CFG_F_SEQ = 1
const EPERM = 1

// The kernel collects packets before it passes them on: so many at most, and so long, in hundredths of a second.
const MAX_COLLECTED = 32
const MAX_DELAY = 1

const configuration = attributes({
  command: [1, u8],
  mode: [2, bytes],
  /** In hundredths of a second. */
  delay: [4, be32],
  threshold: [5, be32],
  flags: [6, be16],
})

/** Decoded alone: the kernel makes these structures. */
const read = <T>(decode: (bytes: Buffer) => T): Field<T> => ({ encode: () => undefined, decode })

const packetAttributes = attributes({
  // struct nfulnl_msg_packet_hdr: ethertype, hook, padding.
  protocol: [1, read((header) => readBe16(header))],
  mark: [2, be32],
  // struct nfulnl_msg_packet_timestamp: seconds and microseconds.
  timestamp: [3, read((stamp) => readBe64(stamp) * 1000 + readBe64(stamp, 8) / 1000)],
  indev: [4, be32],
  outdev: [5, be32],
  physIndev: [6, be32],
  physOutdev: [7, be32],
  // struct nfulnl_msg_packet_hw: length, padding, and eight bytes.
  hwaddr: [8, read((address) => decodeMac(slice(address, 4, Math.min(readBe16(address), 8))))],
  packet: [9, read((payload) => payload)],
  prefix: [10, text],
  sequence: [12, be32],
})

/**
 * What rules log to a group (`log group 7`), from this call on, until the loop is left or the signal aborts; the process
 * is kept alive meanwhile, unless `ref` says otherwise. Packets come some 10 ms late at most, see `nflogQueue`; while 4096 wait to be read more are lost, and `sequence`
 * shows how many. Errors, at once: `EPERM` when somebody listens to the group already, or without CAP_NET_ADMIN.
 * @param netlink a socket of `openNetlink({ protocol: NETLINK_NETFILTER })`
 */
export function watchNflog(
  netlink: Netlink,
  group: number,
  { length = 128, ref = true, signal }: NflogOptions = {},
): AsyncIterableIterator<LoggedPacket> {
  const operation = `listen to nflog group ${group}`
  // The group belongs to the socket that asks for it.
  const fd = netlink.openSocket()
  try {
    runOn(fd, netlink.protocol, [bind(operation, group, length)])
  } catch (error) {
    closeSocket(fd)
    // The kernel has one errno for two reasons.
    if (errnoOf(error) === 'EPERM') throw errors.nflogRefused({ operation, errno: EPERM }, error)
    throw error
  }
  return subscribe(fd, { operation, read: packetsOf, signal, ref, capacity: 4096 })
}

/**
 * How many packets that were logged to a group the kernel has not passed on yet; 0 where nobody listens, undefined where the kernel
 * doesn't say. Of the namespace that the thread is in.
 */
export function nflogQueue(group: number): number | undefined {
  try {
    const lines = readFileSync('/proc/thread-self/net/netfilter/nfnetlink_log', 'utf8').split('\n')
    const fields = lines.map((line) => line.trim().split(/\s+/).map(Number))
    return fields.find(([own]) => own === group)?.[QUEUE_LENGTH] ?? 0
  } catch {
    return undefined
  }
}

// Group, port of the socket, packets.
const QUEUE_LENGTH = 2

const bind = (operation: string, group: number, length: number): Request<void> =>
  netfilterRequest({
    operation,
    subsystem: 'log',
    message: NFULNL_MSG_CONFIG,
    flags: NLM_F_ACK,
    body: () =>
      encodeNetfilter(
        0,
        configuration.encode({
          command: NFULNL_CFG_CMD_BIND,
          // struct nfulnl_msg_config_mode: bytes to copy, mode, padding.
          mode: Buffer.concat([be32.encode(length, 'length in bytes'), Buffer.of(NFULNL_COPY_PACKET, 0)]),
          delay: MAX_DELAY,
          threshold: MAX_COLLECTED,
          flags: NFULNL_CFG_F_SEQ,
        }),
        be16.encode(group, 'nflog group').readUInt16BE(),
      ),
    parse: () => {},
  })

function packetsOf({ type, body }: Message): LoggedPacket[] {
  if (type !== ((subsystem.log << 8) | NFULNL_MSG_PACKET)) return []
  readU8(slice(body, 0, 4))
  const values = packetAttributes.decode(body.subarray(4))
  const { prefix = '', packet = Buffer.alloc(0), protocol = 0, sequence = 0, ...more } = values
  return [present({ group: readBe16(body, 2), prefix, packet, protocol, sequence, ...more })]
}
