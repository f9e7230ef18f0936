import { expect, test } from 'vitest'
import { editDistance, nearest } from '../src/nearest.ts'

test.each([
  ['kubnet', 'kubenet'],
  ['KUBENET', 'kubenet'],
  ['cnii', 'cni'],
  ['example.com/brigde', 'example.com/bridge'],
  ['zzz', undefined],
  ['', undefined],
])('the nearest to %j is %j', (word, found) => {
  expect(nearest(word, ['cni', 'kubenet', 'example.com/bridge'])).toBe(found)
})

test.each([
  ['', 'abc', 3],
  ['abc', 'acb', 1],
  ['kitten', 'sitting', 3],
  ['same', 'same', 0],
])('from %j to %j are %i edits', (a, b, edits) => {
  expect(editDistance(a, b)).toBe(edits)
  expect(editDistance(b, a)).toBe(edits)
})
