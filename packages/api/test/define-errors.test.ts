import { expect, test } from 'vitest'
import { defineErrors, isPodwireError, PodwireError, printable } from '../src/index.ts'

const errors = defineErrors({
  NOT_THERE: {
    message: ({ path }: { path: string }) => `${path} is not there`,
    remedy: ({ path }) => `Make it: mkdir ${path}`,
    exitCode: 2,
  },
  TIRED: { message: () => 'No more today.' },
  BROKEN: {
    message: (_: { part: string }, cause: unknown) => `it broke: ${(cause as Error).message}`,
    exitCode: (cause) => (isPodwireError(cause) ? cause.exitCode : 1),
  },
})

test('an error says what was wrong and what to do, and carries the values', () => {
  const error = errors.NOT_THERE({ path: '/a' })
  expect(error).toBeInstanceOf(PodwireError)
  expect(error).toMatchObject({
    code: 'NOT_THERE',
    message: '/a is not there. Make it: mkdir /a',
    details: { path: '/a' },
    exitCode: 2,
  })
})

test('a message may need no details, and may tell its cause', () => {
  expect(errors.TIRED()).toMatchObject({ message: 'No more today.', exitCode: 1, details: {} })
  const cause = new Error('snap')
  expect(errors.BROKEN({ part: 'x' }, cause)).toMatchObject({ message: 'it broke: snap', cause, exitCode: 1 })
  expect(errors.BROKEN({ part: 'x' }, errors.NOT_THERE({ path: '/a' })).exitCode).toBe(2)
})

test('a package may make errors of its own class, with what its entries hold besides', () => {
  class NumberedError extends PodwireError {
    number = 0
  }
  const numbered = defineErrors(
    { A: { message: () => 'a', number: 7 } },
    (init, { number }: { number: number }) => Object.assign(new NumberedError(init), { number }),
  )
  const error = numbered.A()
  expect(error.number).toBe(7)
  expect(isPodwireError(error)).toBe(true)
})

test('control characters of a text from outside never reach a terminal', () => {
  expect(printable('a\u001b[31mb\u0007\u009bc\u202e\td\n')).toBe('a\\u001b[31mb\\u0007\\u009bc\\u202e\td\n')
})
