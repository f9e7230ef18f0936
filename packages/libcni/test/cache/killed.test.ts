import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseNetworkConfigList } from '@podwire/libcni'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { buildAdder } from '../support/adder.ts'
import { attachment, type Playground, playground } from '../support/playground.ts'

let play: Playground
beforeEach(async () => {
  play = await playground()
  await play.install('one')
})
afterEach(() => play.remove())

const network = parseNetworkConfigList(
  '{"name":"net1","cniVersion":"1.0.0","plugins":[{"type":"one","key":"value"}]}',
)

it('what a process leaves that is killed at any moment never breaks the next operation', async () => {
  const program = await buildAdder(play.directory)
  let left = 0
  for (let round = 0; round < 25; round++) {
    const child = spawn(process.execPath, [program, play.plugins, play.cache, 'c1'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    await sleep(Math.random() * 30)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const { attachments, corrupt } = await play.cni.attachments()
    expect(corrupt).toEqual([])
    expect(attachments.length).toBeLessThanOrEqual(1)
    left += attachments.length
    const next = [
      () => play.cni.del(network, attachment),
      () => play.cni.gc(network, []),
      () => play.cni.add(network, attachment).then(() => play.cni.del(network, attachment)),
      () => play.cni.del('net1', attachment),
    ]
    await next[round % next.length]!()
    expect(await play.cacheFiles()).toEqual([])
  }
  expect(left).toBeGreaterThan(3)
})

it('sweeps up drafts that nobody will finish', async () => {
  const drafts = join(play.cache, 'results/.tmp')
  await mkdir(drafts, { recursive: true })
  for (const name of ['old', 'new']) await writeFile(join(drafts, name), '{')
  await utimes(join(drafts, 'old'), new Date(0), new Date(0))
  await play.cni.attachments()
  expect(await readdir(drafts)).toEqual(['new'])
})
