import type { RuleContext } from '../context.ts'
import { deleteNetns } from '../pods.ts'
import { readProcessState } from '../process-state.ts'
import type { Rule } from '../rule.ts'
import { mustBeEmptied } from './left.ts'

type Kind = keyof Awaited<ReturnType<typeof readProcessState>>

export const leakRules: readonly Rule[] = [
  {
    id: 'leak-descriptors',
    group: 'leaks',
    sentence: 'After its pods are torn down and close() was called, no file, socket or pipe stays open.',
    reason: 'A host that runs for months runs out of them.',
    try: (context) => mustKeepNothing(context, 'descriptors'),
  },
  {
    id: 'leak-timers',
    group: 'leaks',
    sentence:
      'After its pods are torn down and close() was called, no timer or watcher keeps the process running.',
    reason: 'A command that has done its work must end.',
    try: (context) => mustKeepNothing(context, 'handles'),
  },
  {
    id: 'leak-processes',
    group: 'leaks',
    sentence: 'After its pods are torn down and close() was called, no process that it started runs.',
    reason: 'What nobody waits for goes on changing networks.',
    try: (context) => mustKeepNothing(context, 'processes'),
  },
]

async function mustKeepNothing(context: RuleContext, kind: Kind): Promise<void> {
  const read = async () => (await readProcessState())[kind]
  // What is loaded or opened once in the life of a process is none.
  await life(context)
  const before = await read()
  await life(context)
  context.step(`look at the ${kind} that are left`)
  await mustBeEmptied(before, read)
}

async function life(context: RuleContext): Promise<void> {
  const instance = await context.start()
  for (let pods = 0; pods < 2; pods++) {
    const pod = await context.pod()
    await instance.mustSetUp(pod)
    await instance.status(pod)
    await instance.mustTearDown(pod)
    await deleteNetns(pod)
  }
  await instance.close()
}
