import { randomInt } from 'node:crypto'
import { messageOf } from '@podwire/api'
import { askOverTcp, askOverUdp, type Server } from './exchange.ts'
import { type Answer, type Asked, encodeQuestion, readAnswer, type UselessReply } from './upstream-answer.ts'

export interface Upstreams {
  /**
   * Asks one after the other until one answers.
   * @param end when to give up, as performance.now() has it
   * @throws Error when none does before
   */
  ask(asked: Asked, end: number): Promise<Answer>
}

/** How long the first try of each server may take, in milliseconds. The second one has what is left. */
const FIRST_TRY = 1_200
/** For how long a server that did not answer is asked last, in milliseconds. */
const SET_BACK = 10_000

/** @param servers those of now: a host's may change */
export function createUpstreams(servers: () => readonly Server[]): Upstreams {
  const setBackUntil = new Map<string, number>()

  async function ask(asked: Asked, end: number): Promise<Answer> {
    const left = () => end - performance.now()
    const failures = new Set<string>()
    let candidates = inOrder(servers())
    for (const limit of [FIRST_TRY, Number.POSITIVE_INFINITY]) {
      const silent: Server[] = []
      for (const server of candidates) {
        if (left() <= 0) break
        try {
          const reply = await askOne(server, asked, Math.min(limit, left()))
          setBackUntil.delete(keyOf(server))
          if (!('problem' in reply)) return reply
          failures.add(`${server.address}: ${reply.problem}`)
        } catch (error) {
          failures.add(`${server.address}: ${messageOf(error)}`)
          setBackUntil.set(keyOf(server), performance.now() + SET_BACK)
          silent.push(server)
        }
      }
      // One that replied, be it with nonsense or a failure, would do so again.
      candidates = silent
    }
    throw new Error([...failures].join('; ') || 'there is no server to ask')
  }

  function inOrder(all: readonly Server[]): readonly Server[] {
    const now = performance.now()
    for (const [key, until] of setBackUntil) if (until < now) setBackUntil.delete(key)
    const isBack = (server: Server) => setBackUntil.has(keyOf(server))
    return [...all.filter((server) => !isBack(server)), ...all.filter(isBack)]
  }

  return { ask }
}

/** @throws Error when nothing came that belongs to the question */
async function askOne(server: Server, asked: Asked, timeout: number): Promise<Answer | UselessReply> {
  const end = performance.now() + timeout
  const id = randomInt(0x10000)
  const question = encodeQuestion(asked, id)
  const read = (message: Buffer) => {
    const reading = readAnswer(message, asked, id)
    return reading === 'foreign' ? undefined : reading
  }
  const overUdp = await askOverUdp(server, question, read, timeout)
  if (overUdp !== 'truncated') return overUdp
  const overTcp = await askOverTcp(server, question, read, end - performance.now())
  return overTcp === 'truncated' ? { problem: 'its answer is cut over TCP too' } : overTcp
}

const keyOf = ({ address, port }: Server) => `${address} ${port}`
