import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createSandboxStore } from '@podwire/core'
import { withNetns } from '@podwire/netlink'
import type { Place } from './state.ts'

export const THE_HOST = 'the host'

/** Nobody listens there: an answer says at once that the way there and back is open. */
const CLOSED_PORT = 9
const deadlineMs = 15_000

/**
 * A pod connects to each address of another one, or of the host: pods of both kinds reach each other, whichever came first.
 * One that isn't there reaches nobody. @throws Error about an address that does not answer
 */
export async function reach(place: Place, from: string, to: string): Promise<void> {
  const store = createSandboxStore(place.stateDir)
  const recordOf = (name: string) => store.find({ namespace: place.namespace, name })
  const source = recordOf(from)
  const addresses =
    to === THE_HOST
      ? place.gateways.map((gateway) => gateway.replace(/\/.*/, ''))
      : (recordOf(to)?.status?.ips ?? [])
  if (!source) return
  for (const address of addresses)
    if (!(await answers(source.pod.netns, address)))
      throw new Error(`\n  pod ${from} of ${place.stateDir} does not reach ${address} of ${to}`)
}

async function answers(netns: string, address: string): Promise<boolean> {
  const script = `exec 3<>/dev/tcp/${address}/${CLOSED_PORT}`
  const child = withNetns(netns, () => spawn('bash', ['-c', script], { stdio: ['ignore', 'ignore', 'pipe'] }))
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs)
  let said = ''
  child.stderr.on('data', (piece) => {
    said += piece
  })
  await once(child, 'close')
  clearTimeout(timer)
  return said.includes('refused')
}
