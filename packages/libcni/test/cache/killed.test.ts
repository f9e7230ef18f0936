import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
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
}, 300_000)

it('sweeps up files that nobody will finish writing, and takes none for an entry', async () => {
  const results = join(play.cache, 'results')
  await mkdir(results, { recursive: true })
  const child = spawn('true')
  await once(child, 'exit')
  const [dead, alive] = [child.pid, process.pid].map((pid) => `.${pid}.0123abcd.tmp`)
  for (const name of [dead, alive]) await writeFile(join(results, name!), '{')
  expect(await play.cni.attachments()).toEqual({ attachments: [], corrupt: [] })
  expect(await readdir(results)).toEqual([alive])
})
