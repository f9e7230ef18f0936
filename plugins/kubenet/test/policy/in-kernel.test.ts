import { expect, it } from 'vitest'
import { ifThere, retrying } from '../../src/policy/in-kernel.ts'

const failure = (code: string) => Object.assign(new Error(code), { code })

it('what is not there is nothing, and what the kernel refuses is an error', () => {
  const asking = (code: string) => () =>
    ifThere(() => {
      throw failure(code)
    })
  expect(ifThere(() => 7)).toBe(7)
  expect(asking('ENOENT')()).toBeUndefined()
  expect(asking('EPERM')).toThrow('EPERM')
})

it('what another process was in the way of is done again, a few times, and nothing else', () => {
  const attempts = (code: string, successAt = Number.POSITIVE_INFINITY) => {
    const seen: number[] = []
    const act = () =>
      retrying((attempt) => {
        seen.push(attempt)
        if (attempt < successAt) throw failure(code)
      })
    return { act, seen }
  }
  const passing = attempts('EEXIST', 3)
  passing.act()
  expect(passing.seen).toEqual([1, 2, 3])
  const lasting = attempts('ENOENT')
  expect(lasting.act).toThrow('ENOENT')
  expect(lasting.seen).toEqual([1, 2, 3, 4, 5])
  const other = attempts('EPERM')
  expect(other.act).toThrow('EPERM')
  expect(other.seen).toEqual([1])
})
