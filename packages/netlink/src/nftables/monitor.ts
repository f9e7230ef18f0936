import { native } from '../native.ts'
import { subsystem } from '../netfilter/nfnetlink.ts'
import type { Netlink } from '../socket/netlink.ts'
import { closeSocket, joinGroups, receive } from '../socket/socket.ts'
import { attributes, text } from '../wire/fields.ts'
import type { Message } from '../wire/message.ts'
import { attributesOf, familyOf, messages, type TableRef } from './request.ts'

const NFNLGRP_NFTABLES = 7

const tableName = attributes({ name: [1, text] })

const deletions: readonly number[] = [
  messages.delTable,
  messages.delChain,
  messages.delRule,
  messages.delSet,
  messages.delElement,
]

/**
 * Calls back with the tables that lost something, whoever took it: themselves, chains, rules, sets or elements; with undefined
 * when more was lost than could be told. Keeps no process alive.
 * @param netlink a socket of `openNetlink({ protocol: NETLINK_NETFILTER })`
 */
export function watchLosses(
  netlink: Netlink,
  callback: (tables: readonly TableRef[] | undefined) => void,
): { stop(): void } {
  const fd = netlink.openSocket()
  try {
    joinGroups(fd, [NFNLGRP_NFTABLES])
  } catch (error) {
    closeSocket(fd)
    throw error
  }
  const poll = native().whenReadable(fd, () => {
    const lost = new Map<string, TableRef>()
    try {
      for (let answers = receive(fd); answers; answers = receive(fd))
        for (const answer of answers) {
          const table = tableOf(answer)
          if (table) lost.set(`${table.family} ${table.table}`, table)
        }
    } catch {
      // More than the socket holds, or something that can't be read: all may be lost.
      poll.again()
      return callback(undefined)
    }
    if (lost.size > 0) callback([...lost.values()])
  })
  poll.unref()
  return {
    stop() {
      poll.stop()
      closeSocket(fd)
    },
  }
}

/** The table that something of went. All these messages begin with its name. */
function tableOf(message: Message): TableRef | undefined {
  const { type } = message
  if (type >> 8 !== subsystem.nftables || !deletions.includes(type & 0xff)) return undefined
  const family = familyOf(message)
  const { name } = tableName.decode(attributesOf(message))
  return family && name !== undefined ? { family, table: name } : undefined
}
