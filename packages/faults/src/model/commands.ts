import { createSandboxStore } from '@podwire/core'
import fc from 'fast-check'
import type { DatapathName } from '../checker/observed.ts'
import {
  damagePod,
  damageShared,
  type PodDamage,
  podDamages,
  type SharedDamage,
  sharedDamages,
} from './damage.ts'
import { type PolicyName, policies } from './policies.ts'
import { reachAll } from './reach.ts'
import { isDamaged, placeOf, type Settings, type State, seatsBeside } from './state.ts'
import { attempt, openHost, type PodOperation, type Run, repairAll, startInside, verify } from './step.ts'

type Step = fc.AsyncCommand<State, Run, false>

/** One step: what it is called in a report, and what it does. It checks the machine afterwards. */
function step(name: string, act: (state: State, run: Run) => Promise<void>): Step {
  return {
    check: () => true,
    run: async (state, run) => {
      run.steps++
      await act(state, run)
    },
    toString: () => name,
  }
}

const words = ({ seat, pod, wanted }: PodOperation) =>
  wanted ? `up ${pod} ${describe(wanted)} @${seat}` : `down ${pod} @${seat}`
const describe = ({ ports, bandwidth, policy }: Settings) =>
  [
    ...(policy ? [policy] : []),
    ...ports.map(({ hostPort }) => `:${hostPort}`),
    ...Object.entries(bandwidth).map((limit) => limit.join('=')),
  ].join(' ')

const one = (operation: PodOperation) =>
  step(words(operation), async (state, run) => {
    verify(run, state, [await attempt(run, state, operation)])
  })

/** Again as it is: nothing changes, and what was damaged is mended. */
const again = (seat: number, pod: string) =>
  step(`up ${pod} again @${seat}`, async (state, run) => {
    const wanted = placeOf(state, seat).pods.get(pod)?.settings
    if (wanted) verify(run, state, [await attempt(run, state, { seat, pod, wanted })])
  })

/** Many at once, of hosts that know nothing of each other. */
const together = (operations: readonly PodOperation[]) =>
  step(`together [${operations.map(words).join(', ')}]`, async (state, run) => {
    verify(run, state, await Promise.all(operations.map((operation) => attempt(run, state, operation))))
  })

/** kill -9 of a host that is at work; the next one recovers. */
const killed = (seat: number, operations: readonly Omit<PodOperation, 'seat'>[], delayMs: number) =>
  step(
    `kill @${seat} after ${delayMs} ms of [${operations.map((one) => words({ ...one, seat })).join(', ')}]`,
    async (state, run) => {
      const place = placeOf(state, seat)
      const begun = operations.map((operation) => attempt(run, state, { ...operation, seat }))
      await new Promise((resolve) => setTimeout(resolve, delayMs))
      await run.machine.kill(seat)
      const attempts = await Promise.all(begun)
      // A change is undone by writing down what is so again, which has to wait for room; a tear-down is finished without.
      if (operations.some(({ wanted }) => wanted)) {
        run.machine.fill(place.stateDir, false)
        place.isFull = false
      }
      await openHost(run, state, seat)
      verify(run, state, attempts)
    },
  )

const restart = (seat: number) =>
  step(`restart @${seat}`, async (state, run) => {
    await reopen(run, state, [seat])
    verify(run, state, [])
  })

/** Pods that run stay what they are, new ones are connected in the other way. */
const move = (seat: number, datapath: DatapathName) =>
  step(`${seat < 2 ? 'a' : 'b'} goes over to ${datapath}`, async (state, run) => {
    const place = placeOf(state, seat)
    place.isUnmade ||= place.datapath !== datapath
    place.datapath = datapath
    await reopen(run, state, seatsBeside(seat))
    verify(run, state, [])
  })

async function reopen(run: Run, state: State, seats: readonly number[]): Promise<void> {
  for (const seat of seats) await run.machine.call(seat, { method: 'close' })
  for (const seat of seats) await openHost(run, state, seat)
}

const reaches = (seat: number) =>
  step(`who reaches whom of ${seat < 2 ? 'a' : 'b'}`, async (state, run) => {
    const place = placeOf(state, seat)
    if (!isDamaged(place)) await reachAll(place)
    verify(run, state, [])
  })

const repair = (seat: number) =>
  step(`repair @${seat}`, async (state, run) => {
    await repairAll(run, state, seat)
    verify(run, state, [])
  })

const collectGarbage = (seat: number) =>
  step(`gc @${seat}`, async (state, run) => {
    await run.machine.call(seat, { method: 'collectGarbage' })
    verify(run, state, [])
  })

const damage = (seat: number, kind: SharedDamage) =>
  step(`${kind} of ${seat < 2 ? 'a' : 'b'}`, async (state, run) => {
    const place = placeOf(state, seat)
    place.damaged.add(sharedDamages[kind])
    damageShared(place, kind)
    verify(run, state, [])
  })

const damageOne = (seat: number, pod: string, kind: PodDamage) =>
  step(`${kind} of ${pod} @${seat}`, async (state, run) => {
    const place = placeOf(state, seat)
    const known = place.pods.get(pod)
    if (known) known.isDamaged = true
    damagePod(place, pod, kind)
    verify(run, state, [])
  })

/** A pod with a process in it, that ends with another one outside. */
const runJob = (seat: number, pod: string, wanted: Settings) =>
  step(`run ${words({ seat, pod, wanted })}`, async (state, run) => {
    const place = placeOf(state, seat)
    if (place.pods.has(pod)) return
    const owner = run.machine.startProcess()
    verify(run, state, [await attempt(run, state, { seat, pod, wanted }, owner.pid)])
    const record = createSandboxStore(place.stateDir).find({ namespace: place.namespace, name: pod })
    if (record) startInside(run, place, pod, record.pod.netns)
  })

/** The owners of pods die, and the pods go with the next who looks: a prune, or a start. */
const ownersDie = (seat: number, isStart: boolean) =>
  step(`owners die, ${isStart ? 'restart' : 'prune'} @${seat}`, async (state, run) => {
    const place = placeOf(state, seat)
    const owned = [...place.pods].filter(([, { owner }]) => owner !== undefined)
    for (const [, { owner }] of owned) await run.machine.endProcess(owner ?? 0)
    if (isStart) await reopen(run, state, [seat])
    else await run.machine.call(seat, { method: 'prune' })
    for (const [pod] of owned) place.pods.delete(pod)
    verify(run, state, [])
  })

const fill = (seat: number, isFull: boolean) =>
  step(`${isFull ? 'fill' : 'empty'} the disk of ${seat < 2 ? 'a' : 'b'}`, async (state, run) => {
    const place = placeOf(state, seat)
    place.isFull = isFull
    run.machine.fill(place.stateDir, isFull)
    verify(run, state, [])
  })

const datagram = (port: number) =>
  step(`datagram to ${port}`, async (state, run) => {
    run.hasConnections = true
    await run.machine.sendDatagram(port)
    verify(run, state, [])
  })

const tcp = { containerPort: 80, protocol: 'tcp' as const }
const udp = { containerPort: 53, protocol: 'udp' as const }
const portChoices = [
  { hostPort: 8080, ...tcp },
  { hostPort: 8081, ...udp },
  { hostPort: 8082, ...tcp, hostIP: '127.0.0.1' },
  { hostPort: 8083, ...udp },
]
// The keys of a constant.
const damagesOfAll = Object.keys(sharedDamages) as SharedDamage[]
const pod = fc.constantFrom('p0', 'p1', 'p2', 'p3')
const limit = fc.constantFrom(10_000_000, 20_000_000)
const bandwidth = fc.record({ ingress: limit, egress: limit }, { requiredKeys: [], noNullPrototype: true })
const settings: fc.Arbitrary<Settings> = fc.record(
  {
    ports: fc.subarray(portChoices, { maxLength: 2 }),
    bandwidth,
    // The keys of a constant.
    policy: fc.constantFrom(...(Object.keys(policies) as PolicyName[])),
  },
  { requiredKeys: ['ports', 'bandwidth'], noNullPrototype: true },
)
const wanted = fc.oneof({ weight: 3, arbitrary: settings }, { weight: 1, arbitrary: fc.constant(undefined) })
const operation = fc.record({ pod, wanted })
/** All that may happen to these seats, each about as often as it teaches something and as its time allows. */
export function steps(seats: number): fc.Arbitrary<Step> {
  const seat = fc.nat({ max: seats - 1 })
  const operationSomewhere = fc.record({ seat, pod, wanted })
  return fc.oneof(
    { weight: 22, arbitrary: fc.record({ seat, pod, wanted: settings }).map(one) },
    { weight: 8, arbitrary: fc.record({ seat, pod, wanted: fc.constant(undefined) }).map(one) },
    { weight: 8, arbitrary: fc.tuple(seat, pod).map((args) => again(...args)) },
    { weight: 8, arbitrary: fc.array(operationSomewhere, { minLength: 2, maxLength: 4 }).map(together) },
    {
      weight: 6,
      arbitrary: fc
        .tuple(seat, fc.array(operation, { minLength: 1, maxLength: 3 }), fc.nat({ max: 40 }))
        .map((args) => killed(...args)),
    },
    { weight: 3, arbitrary: seat.map(restart) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(seat, fc.constantFrom<DatapathName>('routed', 'bridge'))
        .map((args) => move(...args)),
    },
    { weight: 6, arbitrary: seat.map(reaches) },
    { weight: 8, arbitrary: seat.map(repair) },
    { weight: 3, arbitrary: seat.map(collectGarbage) },
    {
      weight: 8,
      arbitrary: fc.tuple(seat, fc.constantFrom(...damagesOfAll)).map((args) => damage(...args)),
    },
    {
      weight: 10,
      arbitrary: fc.tuple(seat, pod, fc.constantFrom(...podDamages)).map((args) => damageOne(...args)),
    },
    { weight: 6, arbitrary: fc.tuple(seat, pod, settings).map((args) => runJob(...args)) },
    { weight: 3, arbitrary: fc.tuple(seat, fc.boolean()).map((args) => ownersDie(...args)) },
    { weight: 5, arbitrary: fc.tuple(seat, fc.boolean()).map((args) => fill(...args)) },
    { weight: 4, arbitrary: fc.constantFrom(8081, 8083).map(datagram) },
  )
}
