import { describe, expect, test } from 'vitest'
import { errorFromJson, errorToJson, isPodwireError, PodwireError } from '../src/index.ts'

/** What another process gets. */
const sent = (error: unknown) => errorFromJson(JSON.parse(JSON.stringify(errorToJson(error))))

describe('an error that goes to another process', () => {
  test('keeps its code, details, exit code and all its causes', () => {
    const root = Object.assign(new Error('no such file'), { code: 'ENOENT' })
    const inner = new PodwireError({ code: 'STATE_UNUSABLE', message: 'no state', cause: root })
    const outer = new PodwireError({
      code: 'INVALID_POD',
      message: 'not a pod',
      details: { problems: ['a', 'b'], big: 7n, error: root },
      exitCode: 2,
      cause: inner,
    })
    const got = sent(outer)
    expect(isPodwireError(got)).toBe(true)
    expect(got).toMatchObject({
      name: 'PodwireError',
      code: 'INVALID_POD',
      message: 'not a pod',
      exitCode: 2,
      details: { problems: ['a', 'b'], big: '7n', error: { message: 'no such file', code: 'ENOENT' } },
      cause: { code: 'STATE_UNUSABLE', cause: { message: 'no such file', code: 'ENOENT' } },
    })
  })

  test('keeps several in one', () => {
    const got = sent(new AggregateError([new TypeError('one'), 'two'], 'both failed'))
    expect(got).toBeInstanceOf(AggregateError)
    expect(got).toMatchObject({ message: 'both failed', errors: [{ name: 'TypeError' }, { message: 'two' }] })
  })

  test('ends, though its causes and details go round', () => {
    const error = new PodwireError({ code: 'X', message: 'round', details: {} })
    Object.assign(error, { cause: error, details: { self: error.details, error } })
    Object.assign(error.details, { self: error.details })
    let depth = 0
    for (let at: unknown = sent(error); at instanceof Error; at = at.cause) depth++
    expect(depth).toBeLessThan(20)
  })

  test.each([undefined, null, 7, 'text', [], {}, { message: 7 }, { message: 'm', cause: [], errors: [[]] }])(
    'is an error, whatever comes: %j',
    (json) => {
      expect(errorFromJson(json)).toBeInstanceOf(Error)
    },
  )

  test('gives way to one that this process knows', () => {
    const reason = new Error('interrupted')
    const json = errorToJson(new Error('outer', { cause: new PodwireError({ code: 'MINE', message: 'm' }) }))
    const got = errorFromJson(json, (one) => (isPodwireError(one) && one.code === 'MINE' ? reason : one))
    expect(got.cause).toBe(reason)
  })
})
