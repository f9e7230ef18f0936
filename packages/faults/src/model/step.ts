import { check } from '../checker/check.ts'
import { observe } from '../checker/observe.ts'
import { HostError } from '../machine/host-client.ts'
import type { Machine } from '../machine/machine.ts'
import { type Attempt, settle } from './attempts.ts'
import { isRunning } from './is-running.ts'
import { machineModel, type Place, placeOf, requestFor, type Settings, type State } from './state.ts'

/** The machine with what it was asked to do: what steps work on. */
export interface Run {
  readonly machine: Machine
  /** Processes in pods, which must end with them. */
  readonly insiders: Map<string, { readonly pid: number; isAlive(): boolean }>
  /** How many steps were taken. */
  steps: number
  /** The kernel remembers connections to pods. */
  hasConnections: boolean
}

export interface PodOperation {
  readonly seat: number
  readonly pod: string
  /** Undefined: tear it down. */
  readonly wanted: Settings | undefined
}

/** Has a host set a pod up or tear it down, and tells how that ended. */
export async function attempt(
  run: Run,
  state: State,
  { seat, pod, wanted }: PodOperation,
  ownerPid?: number,
): Promise<Attempt> {
  const place = placeOf(state, seat)
  const tried = { place, pod, wanted, isFull: place.isFull }
  try {
    if (!wanted) {
      const argument = { namespace: place.namespace, name: pod }
      await run.machine.call(seat, { method: 'tearDown', argument })
    } else {
      const owner = ownerPid === undefined ? {} : { ownerPid }
      const argument = { ...requestFor(place, pod, wanted), ...owner }
      await run.machine.call(seat, { method: 'setUp', argument })
    }
    return { ...tried, result: 'done' }
  } catch (error) {
    if (!(error instanceof HostError)) throw error
    return { ...tried, result: error.code === 'CUT_OFF' ? 'cut off' : error }
  }
}

/** Opens the host of a seat, which recovers what others left. */
export async function openHost({ machine }: Run, state: State, seat: number): Promise<void> {
  const { stateDir, datapath, bridge, podCIDR } = placeOf(state, seat)
  const argument = { stateDir, datapath, bridge, podCIDR, kubenet: machine.kubenet }
  await machine.call(seat, { method: 'open', argument })
}

/** Has the host of a seat repair all that it has. */
export async function repairAll({ machine }: Run, state: State, seat: number): Promise<void> {
  const place = placeOf(state, seat)
  try {
    await machine.call(seat, { method: 'repair' })
    if (place.pods.size > 0) {
      place.damaged.clear()
      place.isUnmade = false
    }
    for (const pod of place.pods.values()) pod.isDamaged = false
  } catch (error) {
    if (!(place.isFull && place.isUnmade)) throw error
  }
}

/** Compares the machine with the model, which first takes in what was attempted. @throws Error with all differences */
export function verify(run: Run, state: State, attempts: readonly Attempt[], isTidy = false): void {
  const observed = observe(
    state.places.map(({ stateDir }) => stateDir),
    { connections: run.hasConnections, processes: isTidy },
  )
  const differences = [
    ...settle(attempts, observed),
    ...check(machineModel(state, isTidy), observed),
    ...processesLeft(run, state),
  ]
  if (differences.length > 0) throw new Error(`\n  ${differences.join('\n  ')}`)
}

function processesLeft({ insiders }: Run, { places }: State): string[] {
  const isUp = (key: string) =>
    places.some((place) => place.pods.has(key.slice(2)) && key[0] === place.namespace)
  return [...insiders].flatMap(([key, { pid, isAlive }]) => {
    if (isUp(key)) return []
    insiders.delete(key)
    return isAlive() ? [`process ${pid} of pod ${key} is left`] : []
  })
}

/** Remembers a process in a pod. */
export function startInside(run: Run, place: Place, pod: string, netns: string): void {
  const child = run.machine.startProcess(netns)
  run.insiders.set(`${place.namespace}/${pod}`, {
    pid: child.pid ?? 0,
    isAlive: () => child.exitCode === null && child.signalCode === null && isRunning(child.pid),
  })
}
