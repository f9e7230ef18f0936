import { INVALID_ENVIRONMENT, Problem } from './problem.ts'

const names = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const

export type CommandName = (typeof names)[number]

/** @throws Problem */
export function readCommand(): CommandName {
  const value = process.env['CNI_COMMAND']
  const name = names.find((one) => one === value)
  if (name) return name
  throw new Problem(
    INVALID_ENVIRONMENT,
    value
      ? `CNI_COMMAND is "${value.slice(0, 64)}", and not ADD, DEL, CHECK, GC, STATUS or VERSION`
      : 'CNI_COMMAND is missing: this is a CNI plugin, which container runtimes start',
  )
}

/** Runtimes give ADD and DEL two minutes or more. */
export function deadlineOf(name: CommandName): number {
  return name === 'ADD' || name === 'DEL' ? 110_000 : 10_000
}
