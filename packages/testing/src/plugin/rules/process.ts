import type { Rule } from '../rule.ts'

export const processRules: readonly Rule[] = [
  {
    id: 'quiet-stdout',
    group: 'process',
    sentence: 'Nothing is written to the host’s stdout.',
    reason: 'Scripts read there what the host’s commands print; a plugin has its log.',
    watch: ({ stdout }) => stdout,
  },
  {
    id: 'no-exit',
    group: 'process',
    sentence: 'The plugin never ends the process.',
    reason: 'It is the host’s, in the middle of other pods’ operations; a plugin that fails throws.',
    watch: ({ exits }) => exits,
  },
  {
    id: 'no-uncaught',
    group: 'process',
    sentence: 'No error goes uncaught, and no rejection unhandled.',
    reason: 'Node ends the process for it, and every other pod’s operations with it.',
    watch: ({ uncaught }) => uncaught,
  },
  {
    id: 'only-errors',
    group: 'process',
    sentence: 'Whatever a method rejects with is an Error.',
    reason: 'Only an Error says where it comes from, and what caused it.',
    watch: ({ notErrors }) => notErrors,
  },
]
