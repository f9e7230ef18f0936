// npm run test:faults -- [--minutes N | --steps N] [--seed N]
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { runFaults } from './run.ts'

const { values } = parseArgs({
  options: { minutes: { type: 'string' }, steps: { type: 'string' }, seed: { type: 'string' } },
})
const steps = numberOf('steps')
const minutes = numberOf('minutes') ?? (steps === undefined ? 5 : 0)
const seed = numberOf('seed') ?? randomInt(2 ** 30)

console.log(`faults: seed ${seed}`)
let told = 0
const { failure, ...done } = await runFaults({
  seed,
  ms: minutes * 60_000,
  ...(steps === undefined ? {} : { steps }),
  progress({ steps, sequences, ms }) {
    if (ms - told < 10_000) return
    told = ms
    console.log(`faults: ${steps} steps in ${sequences} sequences, ${Math.round(ms / 1000)} s`)
  },
})
console.log(`faults: ${done.steps} steps in ${done.sequences} sequences from seed ${seed}`)
if (failure !== undefined) console.error(failure)
process.exit(failure === undefined ? 0 : 1)

function numberOf(option: 'minutes' | 'steps' | 'seed'): number | undefined {
  const text = values[option]
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isFinite(value) && value >= 0) return value
  console.error(`faults: --${option} ${text} is not a number`)
  process.exit(2)
}
