import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type LoadedNetworks, type NetworkWatch, watchNetworks } from '@podwire/libcni'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type Playground, playground } from '../support/playground.ts'

let play: Playground
let watch: NetworkWatch
let seen: string[]
beforeEach(async () => {
  play = await playground()
  seen = []
})
afterEach(async () => {
  watch.close()
  await play.remove()
})

const settleMs = 80
// The times of files are counted in ticks of the kernel.
const clockTickMs = 10
const list = (name: string, type = 'x') => JSON.stringify({ name, plugins: [{ type }] })
const describeNetworks = ({ networks, problems }: LoadedNetworks) =>
  [
    ...networks.map(({ network }) => `${network.name}:${network.plugins.map(({ type }) => type).join('+')}`),
    ...problems.map(({ error }) => `!${error.code}`),
  ].join(' ')
const start = async (directory = play.configs, patience = settleMs) => {
  watch = watchNetworks(directory, {
    settleMs: patience,
    onChange: (networks) => seen.push(describeNetworks(networks)),
  })
  await watch.ready
}
const write = (name: string, text: string) => writeFile(join(play.configs, name), text)
const settled = () => new Promise((resolve) => setTimeout(resolve, settleMs * 5))
const untilSeen = (expected: string) =>
  vi.waitFor(() => expect(seen.at(-1)).toBe(expected), { timeout: 5000, interval: 20 })

it('tells what is there, what comes, what changes and what goes', async () => {
  await write('10.conflist', list('a'))
  await start()
  expect(seen).toEqual(['a:x'])
  await write('20.conflist', list('b'))
  await untilSeen('a:x b:x')
  await write('10.conflist', list('a', 'y'))
  await untilSeen('a:y b:x')
  await rm(join(play.configs, '10.conflist'))
  await untilSeen('b:x')
  expect(describeNetworks(watch.current)).toBe('b:x')
})

it('keeps the last good network of a file that breaks, and reports the break', async () => {
  await write('10.conflist', list('a'))
  await start()
  await write('10.conflist', '{"name":')
  await untilSeen('a:x !ERR_CNI_JSON')
  await write('10.conflist', list('a', 'z'))
  await untilSeen('a:z')
})

it('says nothing about a file that is half written', async () => {
  const text = list('a')
  const sizes = Array.from({ length: Math.floor(text.length / 8) }, (_, index) => 5 + index * 8)
  // Only a file that is written to more often than every `settleMs` is being written; on a machine too busy for that, the
  // watch gets more time.
  for (let patience = settleMs; ; patience *= 2) {
    seen = []
    await start(play.configs, patience)
    let longestGap = 0
    let previous: number | undefined
    for (const part of [...sizes.map((size) => text.slice(0, size)), text]) {
      const begun = performance.now()
      await write('10.conflist', part)
      longestGap = Math.max(longestGap, performance.now() - (previous ?? begun))
      previous = begun
      if (part !== text) await new Promise((resolve) => setTimeout(resolve, patience / 2))
    }
    await untilSeen('a:x')
    if (longestGap < patience - clockTickMs) break
    watch.close()
    await rm(join(play.configs, '10.conflist'))
  }
  expect(seen).toEqual(['', 'a:x'])
})

it('tells many changes at once', async () => {
  await start()
  const next = join(play.directory, 'next')
  await mkdir(next)
  for (let index = 10; index < 60; index++)
    await writeFile(join(next, `${index}.conflist`), list(`n${index}`))
  await rename(play.configs, join(play.directory, 'old'))
  await rename(next, play.configs)
  await vi.waitFor(() => expect(watch.current.networks).toHaveLength(50), { timeout: 5000 })
  expect(seen).toHaveLength(2)
})

it('says nothing when nothing that matters changed', async () => {
  await write('10.conflist', list('a'))
  await start()
  await write('10.conflist', list('a'))
  await write('README', 'x')
  await settled()
  await write('20.conflist', list('b'))
  await untilSeen('a:x b:x')
  expect(seen).toEqual(['a:x', 'a:x b:x'])
})

it('waits for a directory that is not there, nor its parents', async () => {
  const directory = join(play.directory, 'etc/cni/net.d')
  await start(directory)
  expect(seen).toEqual([''])
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, '10.conflist'), list('a'))
  await untilSeen('a:x')
})

it('follows a directory that is replaced, and one that goes and comes back', async () => {
  await write('10.conflist', list('a'))
  await start()
  const next = join(play.directory, 'next')
  await mkdir(next)
  await writeFile(join(next, '10.conflist'), list('b'))
  await rename(play.configs, join(play.directory, 'old'))
  await rename(next, play.configs)
  await untilSeen('b:x')
  await write('10.conflist', list('c'))
  await untilSeen('c:x')
  await rm(play.configs, { recursive: true })
  await untilSeen('')
  await mkdir(play.configs)
  await write('10.conflist', list('d'))
  await untilSeen('d:x')
})

it("sees plugins come into a network's own directory", async () => {
  await write('10.conflist', list('a'))
  await mkdir(join(play.configs, 'a'))
  await start()
  await write('a/10.conf', '{"type":"y"}')
  await untilSeen('a:x+y')
})

it('ends with its signal', async () => {
  const controller = new AbortController()
  watch = watchNetworks(play.configs, {
    settleMs,
    signal: controller.signal,
    onChange: (networks) => seen.push(describeNetworks(networks)),
  })
  await watch.ready
  controller.abort()
  await write('10.conflist', list('a'))
  await settled()
  expect(seen).toEqual([''])
})

it('goes on after a listener that throws', async () => {
  let throws = true
  watch = watchNetworks(play.configs, {
    settleMs,
    onChange: (networks) => {
      if (throws) throw new Error('listener')
      seen.push(describeNetworks(networks))
    },
  })
  await expect(watch.ready).rejects.toThrow('listener')
  throws = false
  await write('10.conflist', list('a'))
  await untilSeen('a:x')
})
