// The program that tries rules: started by run.ts in namespaces of its own.
import { messageOf } from '@podwire/api'
import { createContext } from './context.ts'
import type { WorkerMessage, WorkerOrder } from './messages.ts'
import { type Watch, watchProcess } from './observations.ts'
import type { Rule } from './rule.ts'
import { pluginRules } from './rules/index.ts'
import { can } from './subject.ts'
import { RuleBroken, RuleNotTried } from './verdict.ts'

// Taken before a plugin's code can.
const { exit } = process
const send = (message: WorkerMessage) => process.send?.(message)

process.once('message', async ({ target, rules }: WorkerOrder) => {
  const watch = watchProcess()
  const { context, end } = createContext(target, watch, (step) => send({ kind: 'did', step }))
  for (const id of rules) {
    const rule = pluginRules.find((one) => one.id === id)
    if (!rule || !('try' in rule)) continue
    send({ kind: 'began', rule: id })
    const result = await tryRule(rule, context, end)
    send({ kind: 'ended', result: { rule: id, ...result } })
    send({ kind: 'observed', observations: take(watch) })
    // What broke a rule may break those to come: they get a kernel and a process of their own.
    if (result.outcome === 'failed') break
  }
  process.send?.({ kind: 'observed', observations: take(watch) }, () => exit.call(process, 0))
})
process.once('disconnect', () => exit.call(process, 0))

type Context = ReturnType<typeof createContext>

async function tryRule(
  rule: Extract<Rule, { try: unknown }>,
  context: Context['context'],
  end: Context['end'],
): Promise<{ outcome: 'passed' | 'failed' | 'skipped'; seen?: string }> {
  try {
    if (rule.needs !== undefined) await assertCan(rule.needs)
    await rule.try(context)
    await end()
    return { outcome: 'passed' }
  } catch (error) {
    await end().catch(() => {})
    const seen = messageOf(error)
    if (error instanceof RuleNotTried) return { outcome: 'skipped', seen }
    if (error instanceof RuleBroken) return { outcome: 'failed', seen }
    return { outcome: 'failed', seen: `an error where none was expected: ${seen}` }
  }

  async function assertCan(needs: NonNullable<typeof rule.needs>): Promise<void> {
    const { plugin } = await context.start()
    if (!can(plugin, needs)) throw new RuleNotTried(`the plugin does not announce ${needs}`)
    await end()
  }
}

function take({ observations }: Watch): Watch['observations'] {
  const { stdout, exits, uncaught, notErrors } = observations
  return {
    stdout: stdout.splice(0),
    exits: exits.splice(0),
    uncaught: uncaught.splice(0),
    notErrors: notErrors.splice(0),
  }
}
