import { isDeepStrictEqual } from 'node:util'
import type { Pod } from '@podwire/api'
import type { Observed } from '../checker/observed.ts'
import type { HostError } from '../machine/host-client.ts'
import { type PolicyName, policies } from './policies.ts'
import { isPortTaken, type Place, type Settings } from './state.ts'

/** One operation on one pod, and what came of it. */
export interface Attempt {
  readonly place: Place
  readonly pod: string
  /** Undefined: it was to go. */
  readonly wanted: Settings | undefined
  /** There was no room on its disk. */
  readonly isFull: boolean
  readonly result: 'done' | 'cut off' | HostError
}

/**
 * Takes into the model what the operations led to. Where more than one end is possible, as a host was killed or two were at
 * it, what is there decides, as long as it is one of them. Returns what can't be, each in a sentence.
 */
export function settle(attempts: readonly Attempt[], observed: Observed): string[] {
  const unexpected = attempts.flatMap((attempt) => unexpectedResult(attempt, attempts))
  const touched = new Map(attempts.map((attempt) => [`${attempt.place.namespace}/${attempt.pod}`, attempt]))
  const impossible = [...touched.values()].flatMap(({ place, pod }) =>
    settlePod(
      place,
      pod,
      attempts.filter((one) => one.place === place && one.pod === pod),
      observed,
    ),
  )
  return [...unexpected, ...impossible]
}

function unexpectedResult(attempt: Attempt, all: readonly Attempt[]): string[] {
  const { place, pod, wanted, isFull, result } = attempt
  const about = `${wanted ? 'setting up' : 'tearing down'} ${place.namespace}/${pod}`
  const isAlone = all.length === 1
  const isTaken = wanted !== undefined && isPortTaken(place, pod, wanted)
  if (result === 'done') return isAlone && isTaken ? [`${about} took a port that another pod has`] : []
  if (result === 'cut off') return []
  // The firewall does not see what passes on a bridge.
  const isOnBridge = (place.pods.get(pod)?.datapath ?? place.datapath) === 'bridge'
  if (wanted?.policy && result.code === 'POLICY_NEEDS_ROUTED' && (isOnBridge || !isAlone)) return []
  // A full disk keeps pods from coming up and from changing, never from going and from being mended.
  const isMending = isAlone && !place.isUnmade && isDeepStrictEqual(place.pods.get(pod)?.settings, wanted)
  if (isFull && wanted && !isMending) return []
  const mayBeTaken = isTaken || (!isAlone && wanted !== undefined && wanted.ports.length > 0)
  return mayBeTaken && result.code === 'HOST_PORT_IN_USE'
    ? []
    : [`${about} failed with ${result.code}: ${result.message}`]
}

function settlePod(place: Place, pod: string, attempts: readonly Attempt[], observed: Observed): string[] {
  const before = place.pods.get(pod)
  const ended = attempts.filter(({ result }) => result === 'done' || result === 'cut off')
  const isSure = attempts.some(({ result }) => result === 'done')
  const possible = [...(isSure ? [] : [before?.settings]), ...ended.map(({ wanted }) => wanted)]
  const state = observed.states.find(({ dir }) => dir === place.stateDir)
  const record = state?.sandboxes.find((one) => one.pod.name === pod && one.pod.namespace === place.namespace)
  const found = record && settingsOf(record.pod)
  if (!possible.some((one) => isDeepStrictEqual(one, found)))
    return [
      `pod ${place.namespace}/${pod} is ${words(found)}, and should be ${possible.map(words).join(' or ')}`,
    ]
  if (found === undefined || record === undefined) place.pods.delete(pod)
  else {
    const isMended = isSure && attempts.every(({ result, wanted }) => result === 'done' && wanted)
    const isDamaged = !isMended && (before?.isDamaged ?? false)
    const datapath =
      state?.records.find(({ sandboxId }) => sandboxId === record.pod.sandboxId)?.datapath ?? place.datapath
    place.pods.set(pod, { settings: found, datapath, isDamaged, owner: record.owner?.pid })
    // Whichever pod is set up, again or anew: what all share is put back with it.
    if (isMended) {
      place.damaged.clear()
      // Where there is no room nothing new is made: what was right already was only looked at.
      if (!place.isFull) place.isUnmade = false
    }
  }
  return []
}

function settingsOf({ portMappings, bandwidth = {}, policy }: Pod): Settings {
  const name = policyNames.find((one) => isDeepStrictEqual(policies[one], policy))
  return { ports: portMappings, bandwidth, ...(name ? { policy: name } : {}) }
}

// The keys of a constant.
const policyNames = Object.keys(policies) as PolicyName[]

const words = (settings: Settings | undefined) => (settings ? `up with ${JSON.stringify(settings)}` : 'gone')
