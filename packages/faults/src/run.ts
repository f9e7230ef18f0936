import { messageOf } from '@podwire/api'
import fc from 'fast-check'
import type { DatapathName } from './checker/observed.ts'
import { openMachine } from './machine/machine.ts'
import { steps } from './model/commands.ts'
import { leftoverRules } from './model/leftover-rules.ts'
import { reachAll } from './model/reach.ts'
import { freshState, isDamaged, placeOf, SEATS, type State } from './model/state.ts'
import { attempt, openHost, type Run, repairAll, verify } from './model/step.ts'

export interface FaultRun {
  /** Where to begin: one seed makes the same sequences each time. */
  readonly seed: number
  /** Only the sequences that begin with this one; by default both, in turn. */
  readonly datapath?: DatapathName
  /** Until at least so many steps were taken. */
  readonly steps?: number
  /** Until so much time has passed, in milliseconds. */
  readonly ms?: number
  /** Told after each sequence. */
  progress?(done: { readonly steps: number; readonly sequences: number; readonly ms: number }): void
}

export interface FaultResult {
  readonly steps: number
  readonly sequences: number
  /** The sequence that broke something, shrunk, with what is wrong and the command that makes it again. */
  readonly failure?: string
}

/** On average half of it, as each length is as likely. */
const longestSequence = 100
/** A failure is shrunk for so long, in milliseconds: each try takes the sequence from its beginning. */
const shrinkMs = 120_000

/** Takes random steps on this machine, which must be one that nobody needs: see .dev/isolate. */
export async function runFaults({
  seed,
  datapath,
  steps: wanted = 0,
  ms = 0,
  progress,
}: FaultRun): Promise<FaultResult> {
  const machine = await openMachine(SEATS)
  const run: Run = { machine, insiders: new Map(), steps: 0, hasConnections: false }
  const started = performance.now()
  const passed = () => performance.now() - started
  let sequences = 0
  try {
    for (let current = seed; run.steps < wanted || passed() < ms; current++) {
      if (datapath && datapathOf(current) !== datapath) continue
      sequences++
      const failure = await oneSequence(run, current)
      if (failure)
        return {
          ...{ steps: run.steps, sequences },
          failure: `${failure}\nagain: npm run test:faults -- --steps 1 --seed ${current}`,
        }
      progress?.({ steps: run.steps, sequences, ms: passed() })
    }
    return { steps: run.steps, sequences }
  } finally {
    await machine.close()
  }
}

const datapathOf = (seed: number): DatapathName => (seed % 2 === 0 ? 'routed' : 'bridge')

async function oneSequence(run: Run, seed: number): Promise<string | undefined> {
  // Two hosts of one state directory, and now and then a third with one of its own.
  const seats = seed % 3 === 0 ? SEATS : SEATS - 1
  let failedAt: number | undefined
  const passed = () => (failedAt === undefined ? 0 : performance.now() - failedAt)
  const property = fc.asyncProperty(
    fc.noBias(fc.commands([steps(seats)], { maxCommands: longestSequence, size: 'max' })),
    async (commands) => {
      if (passed() > shrinkMs) return
      const state = freshState(run.machine.root, datapathOf(seed))
      await begin(run, state)
      try {
        await fc.asyncModelRun(async () => ({ model: state, real: run }), commands)
        await end(run, state)
      } catch (error) {
        failedAt ??= performance.now()
        throw error
      } finally {
        await clear(run)
      }
    },
  )
  const details = await fc.check(property, { seed, numRuns: 1 })
  if (!details.failed) return undefined
  const { counterexample, errorInstance, numShrinks } = details
  return `faults: seed ${seed}, after ${numShrinks} shrinks\n  ${[...(counterexample?.[0] ?? [])].join('\n  ')}\nled to${messageOf(errorInstance)}`
}

async function begin(run: Run, state: State): Promise<void> {
  for (let seat = 0; seat < SEATS; seat++) await openHost(run, state, seat)
  verify(run, state, [])
}

/** Everybody reaches whom they may, and nobody else. Then everything goes, and nothing may be left. */
async function end(run: Run, state: State): Promise<void> {
  for (const seat of [0, 2]) {
    const place = placeOf(state, seat)
    run.machine.fill(place.stateDir, false)
    place.isFull = false
    // Only what was damaged: a repair would also mend what a host did not do as it should.
    if (isDamaged(place)) await repairAll(run, state, seat)
    verify(run, state, [])
    await reachAll(place)
  }
  const attempts = state.places.flatMap((place, index) => {
    return [...place.pods.keys()].map((pod) =>
      attempt(run, state, { seat: index * 2, pod, wanted: undefined }),
    )
  })
  verify(run, state, await Promise.all(attempts))
  for (const seat of [0, 2]) await run.machine.call(seat, { method: 'collectGarbage' })
  verify(run, state, [], true)
  for (const seat of [0, 2]) {
    const left = await leftoverRules(placeOf(state, seat), () => onePod(run, state, seat))
    if (left.length > 0) throw new Error(`\n  ${left.join('\n  ')}`)
  }
}

async function onePod(run: Run, state: State, seat: number): Promise<void> {
  for (const wanted of [{ ports: [], bandwidth: {} }, undefined])
    verify(run, state, [await attempt(run, state, { seat, pod: 'last', wanted })])
}

/** A machine as it was before, whatever the steps made of it. */
async function clear(run: Run): Promise<void> {
  run.insiders.clear()
  run.hasConnections = false
  await run.machine.reset()
}
