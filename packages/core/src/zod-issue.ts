import { describeValue } from '@podwire/api'
import type * as z from 'zod/mini'

/** What is wrong with a value, without its path: `expected a number, got "big"`. Parse with `reportInput` for the value. */
export function issueMessage(issue: z.core.$ZodIssue): string {
  const got = 'input' in issue ? `, got ${describeInput(issue.input)}` : ''
  if (issue.code === 'invalid_value') return `expected ${issue.values.map(describeValue).join(', ')}${got}`
  if (issue.code === 'invalid_type') return `expected ${article(issue.expected)}${got}`
  if (issue.code === 'unrecognized_keys') return `unknown key ${issue.keys.map(describeValue).join(', ')}`
  if (issue.code === 'too_small') return `expected at least ${issue.minimum}${got}`
  if (issue.code === 'too_big') return `expected at most ${issue.maximum}${got}`
  // What holds others is wrong by what is in there, which the message says; and there may be secrets.
  return isContainer(issue.input) ? issue.message : `${issue.message}${got}`
}

const isContainer = (input: unknown) => typeof input === 'object' && input !== null

/** Not what is in an object or a list: a password may be. */
function describeInput(input: unknown): string {
  if (Array.isArray(input)) return 'a list'
  return isContainer(input) ? 'an object' : describeValue(input)
}

/** The first thing wrong, with its path; `whole` names the value itself. */
export function firstIssue(error: z.core.$ZodError, whole: string): string {
  const [issue] = error.issues
  return issue ? `${issue.path.join('.') || whole}: ${issueMessage(issue)}` : `${whole}: its shape is unknown`
}

function article(noun: string): string {
  if (noun === 'record') return 'an object'
  return /^[aeio]/.test(noun) ? `an ${noun}` : `a ${noun}`
}
