import { isDeepStrictEqual } from 'node:util'
import type { Observed } from '../checker/observed.ts'
import type { HostError } from '../machine/host-client.ts'
import { isPortTaken, type Place, type PodState, type Settings, type State } from './state.ts'

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
export function settle(state: State, attempts: readonly Attempt[], observed: Observed): string[] {
  const unexpected = attempts.flatMap((attempt) => unexpectedResult(state, attempt, attempts))
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

const sharedTableCodes = ['HOST_PORT_IN_USE', 'SETUP_STEP_FAILED', 'EEXIST']

function unexpectedResult(state: State, attempt: Attempt, all: readonly Attempt[]): string[] {
  const { place, pod, wanted, isFull, result } = attempt
  const about = `${wanted ? 'setting up' : 'tearing down'} ${place.namespace}/${pod}`
  const isAlone = all.length === 1
  const taken = wanted === undefined ? 'no' : isPortTaken(state, place, pod, wanted)
  if (result === 'done')
    return isAlone && taken === 'yes' ? [`${about} took a port that another pod has`] : []
  if (result === 'cut off' || isFull) return []
  const mayBeTaken = taken !== 'no' || (!isAlone && wanted !== undefined && wanted.ports.length > 0)
  // While the other host makes the table anew, whose a port is can't be told.
  const isExpected = state.isTableShared
    ? wanted !== undefined && sharedTableCodes.includes(result.code)
    : mayBeTaken && result.code === 'HOST_PORT_IN_USE'
  return isExpected ? [] : [`${about} failed with ${result.code}: ${result.message}`]
}

function settlePod(place: Place, pod: string, attempts: readonly Attempt[], observed: Observed): string[] {
  const before = place.pods.get(pod)
  const ended = attempts.filter(({ result }) => result === 'done' || result === 'cut off')
  const isSure = attempts.some(({ result }) => result === 'done')
  const possible = [...(isSure ? [] : [before?.settings]), ...ended.map(({ wanted }) => wanted)]
  const record = observed.states
    .find(({ dir }) => dir === place.stateDir)
    ?.sandboxes.find((one) => one.pod.name === pod && one.pod.namespace === place.namespace)
  const isHalfChanged =
    before !== undefined &&
    (before.isHalfChanged || attempts.some(({ result, isFull }) => isFull && result !== 'done'))
  const stands = (isHalfChanged && record?.previous) || record?.pod
  const found = stands && { ports: stands.portMappings, bandwidth: stands.bandwidth ?? {} }
  if (!possible.some((one) => isDeepStrictEqual(one, found)))
    return [
      `pod ${place.namespace}/${pod} is ${words(found)}, and should be ${possible.map(words).join(' or ')}`,
    ]
  if (found === undefined || record === undefined) place.pods.delete(pod)
  else {
    const isMended = isSure && attempts.every(({ result, wanted }) => result === 'done' && wanted)
    // On a full disk no record tells of a tear-down that was cut off: the pod seems to be up, and is seen to be broken.
    const isHalfGone = attempts.some(
      ({ result, wanted, isFull }) => isFull && !wanted && result === 'cut off',
    )
    const isDamaged = !isMended && (isHalfGone || (before?.isDamaged ?? false))
    const next: PodState = { settings: found, isDamaged }
    place.pods.set(pod, { ...next, owner: record.owner?.pid, isHalfChanged: isHalfChanged && !isMended })
    // A pod that is set up again as it is has what is its own looked at, and not what all share.
    if (isMended && !isDeepStrictEqual(before?.settings, found)) place.isDamaged = false
  }
  return []
}

const words = (settings: Settings | undefined) => (settings ? `up with ${JSON.stringify(settings)}` : 'gone')
