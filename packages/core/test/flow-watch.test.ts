import { expect, test } from 'vitest'
import { createFlowWatch } from '../src/flow-watch.ts'

function recorded(fails: () => boolean = () => false) {
  const said: string[] = []
  const watch = createFlowWatch(async () => {
    if (fails()) throw new Error('no')
    said.push('begin')
    return async () => void said.push('end')
  })
  return { said, watch }
}

test('begins with the first who watches, ends with the last, and not before', async () => {
  const { said, watch } = recorded()
  const [one, two] = await Promise.all([watch.join(), watch.join()])
  await one()
  await one()
  expect(said).toEqual(['begin'])
  await two()
  expect(said).toEqual(['begin', 'end'])
  const three = await watch.join()
  await Promise.all([three(), watch.join()])
  expect(said.slice(2)).toEqual(['begin'])
})

test('begins anew where somebody watches, and else not', async () => {
  const { said, watch } = recorded()
  await watch.again()
  expect(said).toEqual([])
  await watch.join()
  await watch.again()
  expect(said).toEqual(['begin', 'end', 'begin'])
})

test('that could not begin is tried again by the next', async () => {
  let isBroken = true
  const { said, watch } = recorded(() => isBroken)
  await expect(watch.join()).rejects.toThrow('no')
  isBroken = false
  const leave = await watch.join()
  await leave()
  expect(said).toEqual(['begin', 'end'])
})
