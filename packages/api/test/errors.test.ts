import { expect, test } from 'vitest'
import { describeValue, isPodwireError, messageOf, PodwireError } from '../src/index.ts'

const cycle: Record<string, unknown> = {}
cycle.self = cycle
const throwing = {
  get value(): never {
    throw new Error('no')
  },
}

test.each([
  ['text', '"text"'],
  ['line\nbreak\u0007', '"line\\nbreak\\u0007"'],
  [{ a: [1] }, '{"a":[1]}'],
  [null, 'null'],
  [undefined, 'undefined'],
  [Number.NaN, 'null'],
  [12n, '12n'],
  [Symbol('x'), 'symbol'],
  [() => 1, 'function'],
  [cycle, 'object'],
  [throwing, 'object'],
  ['x'.repeat(200), `"${'x'.repeat(78)}…`],
])('a value is described in one line: %#', (value, text) => {
  expect(describeValue(value)).toBe(text)
})

test.each([
  [new Error('plain'), 'plain'],
  [new TypeError(), 'TypeError'],
  ['a string', 'a string'],
  [undefined, 'a value that is not an error was thrown: undefined'],
  [{ code: 1 }, 'a value that is not an error was thrown: {"code":1}'],
  [cycle, 'a value that is not an error was thrown: object'],
])('whatever is thrown has a message: %#', (thrown, message) => {
  expect(messageOf(thrown)).toBe(message)
})

test('an error carries code, details, cause and exit code, and is known by its shape', () => {
  const cause = new Error('below')
  const error = new PodwireError({ code: 'X', message: 'm', details: { a: 1 }, cause, exitCode: 2 })
  expect(error).toMatchObject({ code: 'X', message: 'm', details: { a: 1 }, cause, exitCode: 2 })
  expect(new PodwireError({ code: 'X', message: 'm' })).toMatchObject({ details: {}, exitCode: 1 })
  expect('cause' in new PodwireError({ code: 'X', message: 'm' })).toBe(false)
  const fromAnotherCopy = Object.assign(new Error('m'), {
    name: 'PodwireError',
    code: 'X',
    details: {},
    exitCode: 1,
  })
  expect(isPodwireError(error)).toBe(true)
  expect(isPodwireError(fromAnotherCopy)).toBe(true)
  expect(isPodwireError(new Error('m'))).toBe(false)
  expect(isPodwireError({ name: 'PodwireError', code: 'X', details: {} })).toBe(false)
})
