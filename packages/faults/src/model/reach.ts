import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createSandboxStore } from '@podwire/core'
import { withNetns } from '@podwire/netlink'
import { mayReach } from './policies.ts'
import type { Place } from './state.ts'

const THE_HOST = 'the host'

/** Nobody listens there: a refusal by whom it is for says at once that the way there and back is open. */
const CLOSED_PORT = 9
/** For those that should answer. */
const deadlineMs = 15_000
/** For those that should not, after all others have: whoever is denied may hear nothing at all. */
const graceMs = 200

/**
 * Each pod connects to each address of each of them, its own and the host's: pods of both kinds reach each other, whichever came
 * first, unless a policy says otherwise.
 * @throws Error about addresses that don't answer, and about those that do and should not
 */
export async function reachAll(place: Place): Promise<void> {
  const wrong = await Promise.all([...place.pods.keys()].map((from) => reach(place, from)))
  if (wrong.flat().length > 0) throw new Error(`\n  ${wrong.flat().join('\n  ')}`)
}

/** What is wrong with what a pod reaches, each in a sentence. */
async function reach(place: Place, from: string): Promise<string[]> {
  const store = createSandboxStore(place.stateDir)
  const recordOf = (name: string) => store.find({ namespace: place.namespace, name })
  const policyOf = (name: string) => ({ name, policy: place.pods.get(name)?.settings.policy })
  const addressesOf = (name: string) =>
    name === THE_HOST
      ? place.gateways.map((gateway) => gateway.replace(/\/.*/, ''))
      : (recordOf(name)?.status?.ips ?? [])
  const source = recordOf(from)
  if (!source) return []
  const tried = [...place.pods.keys(), THE_HOST].flatMap((to) =>
    addressesOf(to).map((address) => ({ to, address, mayIt: mayReach(policyOf(from), policyOf(to)) })),
  )
  const answering = await answeringAmong(
    source.pod.netns,
    tried.map(({ address }) => address),
    tried.filter(({ mayIt }) => mayIt).length,
  )
  return tried
    .filter(({ address, mayIt }) => answering.includes(address) !== mayIt)
    .map(
      ({ to, address, mayIt }) =>
        `pod ${from} of ${place.stateDir} ${mayIt ? 'does not reach' : 'reaches'} ${address} of ${to}`,
    )
}

// Again and again, until it is killed: an address of IPv6 that a pod just got is its own for the kernel only a moment later, and what it
// asks of that until then goes out, to its policy.
const script = `for address; do
  (until case $( (exec 3<>"/dev/tcp/$address/${CLOSED_PORT}") 2>&1 ) in *refused*) true;; *) false;; esac
  do sleep 0.05; done
  echo "$address") &
done
wait`

/** Those of the addresses that refuse a connection from this namespace. @param expected how many that should be */
async function answeringAmong(
  netns: string,
  addresses: readonly string[],
  expected: number,
): Promise<string[]> {
  const child = withNetns(netns, () =>
    spawn('bash', ['-c', script, 'bash', ...addresses], {
      stdio: ['ignore', 'pipe', 'ignore'],
      // What it starts goes with it.
      detached: true,
    }),
  )
  const stopAfter = (ms: number) =>
    setTimeout(() => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'), ms)
  let timer = stopAfter(expected > 0 ? deadlineMs : graceMs)
  let said = ''
  const answering = () => said.split('\n').filter(Boolean)
  child.stdout.on('data', (piece) => {
    said += piece
    if (answering().length < expected) return
    clearTimeout(timer)
    timer = stopAfter(graceMs)
  })
  await once(child, 'close')
  clearTimeout(timer)
  return answering()
}
