import {
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_OVERRUN,
} from '../wire/constants.ts'
import { type Acknowledgement, decodeAcknowledgement, encodeMessage, type Message } from '../wire/message.ts'

/** One message to send. */
export interface Outgoing {
  type: number
  flags: number
  isBracket?: true | undefined
  body: Uint8Array
}

/** What came back for one message. */
export interface Reply {
  messages: Message[]
  /** Missing until the kernel has said that it is done. */
  acknowledgement?: Acknowledgement
}

/** A group of messages that travels in one datagram, and the answers matched to them by sequence number. */
export interface Exchange {
  readonly datagram: Buffer
  readonly replies: Reply[]
  /** Takes received messages in; those of earlier exchanges are left aside. */
  take(messages: Message[]): void
  isComplete(): boolean
  /** Whether a table changed while it was dumped, so that the exchange is to be done again. */
  isInterrupted(): boolean
}

export function createExchange(outgoing: readonly Outgoing[], firstSequence: number): Exchange {
  const answered = outgoing.filter(({ flags }) => isAnswered(flags)).length
  // One that asks for no answer may still be refused, after all others were answered.
  const isOpenEnded = outgoing.some(({ flags, isBracket }) => !isAnswered(flags) && !isBracket)
  // The kernel works in order, and tells of a refusal unasked: the last one's acknowledgement speaks for all before it.
  const last = isOpenEnded ? undefined : outgoing.findLastIndex(({ flags }) => isAnswered(flags))
  const datagram = Buffer.concat(
    outgoing.map(({ type, flags, body }, index) => {
      const asked = last === undefined || index === last ? flags : flags & ~NLM_F_ACK
      return encodeMessage(type, asked | NLM_F_REQUEST, (firstSequence + index) >>> 0, body)
    }),
  )
  const replies = outgoing.map((): Reply => ({ messages: [] }))
  let isInterrupted = false
  let expected = last === undefined ? answered : 1

  const finish = (reply: Reply, acknowledgement: Acknowledgement) => {
    const isExpected = last === undefined || reply === replies[last]
    if (isExpected && !reply.acknowledgement) expected--
    reply.acknowledgement = acknowledgement
    if (reply === replies[last ?? -1]) for (const earlier of replies) earlier.acknowledgement ??= { errno: 0 }
  }
  const take = (messages: Message[]) => {
    for (const message of messages) {
      const reply = replies[(message.seq - firstSequence) >>> 0]
      if (!reply) continue
      if (message.flags & NLM_F_DUMP_INTR) isInterrupted = true
      if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE)
        finish(reply, decodeAcknowledgement(message, message.type === NLMSG_DONE))
      else if (message.type > NLMSG_OVERRUN) reply.messages.push(message)
    }
  }
  return {
    datagram,
    replies,
    take,
    isComplete: () => expected === 0 && !isOpenEnded,
    isInterrupted: () => isInterrupted,
  }
}

export const isDump = (flags: number) => (flags & NLM_F_DUMP) === NLM_F_DUMP

export const isAnswered = (flags: number) => (flags & NLM_F_ACK) !== 0 || isDump(flags)
