import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { namesIn } from '@podwire/api/files'
import { isIsolated } from '@podwire/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingPrograms } from '../../../../.dev/missing-programs.ts'
import { type Containerd, startContainerd } from './containerd.ts'
import { type Machine, makeMachine } from './machine.ts'
import { answering, ask, bytesWithin } from './traffic.ts'

const missing = missingPrograms(
  'containerd',
  'ctr',
  'runc',
  'containerd-shim-runc-v2',
  '/bin/busybox',
  '/usr/lib/cni/loopback',
)

describe.skipIf(!isIsolated() || missing.length > 0)(
  `containerd${missing.length > 0 ? ` (no ${missing.join(', ')})` : ''}`,
  () => {
    let machine: Machine
    let containerd: Containerd
    let daemon: Awaited<ReturnType<Machine['startDaemon']>>

    beforeAll(async () => {
      machine = await makeMachine('10.77.0.0/22')
      daemon = await machine.startDaemon()
      containerd = await startContainerd(machine)
      expect((await containerd.network()).ready).toBe(false)
      await machine.podwire('cni', 'install', '--bin-dir', machine.binDir, '--conf-dir', machine.confDir)
      // It sees the directory change.
      for (let i = 0; i < 600 && !(await containerd.network()).ready; i++) await sleep(50)
      expect((await containerd.network()).ready).toBe(true)
    })
    afterAll(async () => {
      containerd?.close()
      await machine?.close()
    })

    const remove = async (id: string) => {
      await containerd.stop(id)
      await containerd.remove(id)
    }
    const records = async () => {
      const host = await machine.host()
      return host.pods()
    }
    /** What is left of pods that are gone. */
    const left = async () => ({
      records: (await records()).map(({ pod, phase }) => `${pod.name} ${phase}`),
      addresses: namesIn(join(machine.stateDir, 'plugins/kubenet/addresses')),
      links: (await machine.run('ip', '-br', 'link')).split('\n').filter((line) => line.startsWith('pw')),
      journal: namesIn(join(machine.stateDir, 'cni-journal')),
      namespaces: readdirSync('/run/netns'),
    })
    const nothing = { records: [], addresses: [], links: [], journal: [], namespaces: [] }

    test('gives a pod the address, the port and the limits that it asks for', async () => {
      const id = await containerd.run({
        name: 'web',
        hostPort: 8080,
        annotations: { 'kubernetes.io/ingress-bandwidth': '8M' },
      })
      const { ip } = await containerd.status(id)
      expect(ip).toMatch(/^10\.77\.0\.\d+$/)
      const [record] = await records()
      expect(record).toMatchObject({
        pod: { namespace: 'default', name: 'web', bandwidth: { ingress: 8_000_000 } },
        attachment: { network: 'podwire', containerId: id, ifName: 'eth0', podUid: 'uid-web' },
        status: { ip },
      })
      const server = await answering(machine, record?.pod.netns ?? '', 80, 'hello from the pod')
      try {
        expect(await ask(ip, 80)).toBe('hello from the pod')
        expect(await ask('127.0.0.1', 8080)).toBe('hello from the pod')
        // What the sender's kernel holds counts too, some megabytes. Without a limit it would be a hundred times as much.
        const bytes = await bytesWithin(ip, 80, 2000)
        expect(bytes).toBeGreaterThan(100_000)
        expect(bytes).toBeLessThan(20_000_000)
      } finally {
        server.stop()
        await remove(id)
      }
      expect(await left()).toEqual(nothing)
    })

    test('gives 50 pods addresses of their own, 8 at a time', async () => {
      const names = Array.from({ length: 50 }, (_, index) => `many-${index}`)
      const ids = await inParallel(8, names, (name) => containerd.run({ name }))
      const addresses = await Promise.all(ids.map(async (id) => (await containerd.status(id)).ip))
      expect(new Set(addresses).size).toBe(50)
      await inParallel(8, ids, remove)
      expect(await left()).toEqual(nothing)
    })

    test('keeps its pods when it is started again, and takes them down then', async () => {
      const id = await containerd.run({ name: 'stays' })
      const before = await containerd.status(id)
      expect(before.ready).toBe(true)
      await containerd.restart()
      expect(await containerd.status(id)).toEqual(before)
      await remove(id)
      expect(await left()).toEqual(nothing)
    })

    test('loses and leaks nothing when the daemon is killed while pods come and go', async () => {
      for (let round = 0; round < 4; round++) {
        const up = Promise.allSettled(
          [0, 1, 2, 3].map((index) => containerd.run({ name: `killed-${round}-${index}` })),
        )
        await sleep(100 + Math.random() * 400)
        await daemon.kill()
        const ended = await up
        // Without a daemon nothing is attached, and what was is detached by and by.
        const ids = ended.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
        await expect(containerd.run({ name: `none-${round}` })).rejects.toThrow(/podwire/)
        const down = Promise.all(ids.slice(0, 2).map(remove))
        if (round % 2 === 0) await down
        daemon = await machine.startDaemon()
        await down
        await Promise.all((await containerd.list()).map(remove))
      }
      const again = await containerd.run({ name: 'again' })
      await remove(again)
      for (let i = 0; i < 200 && (await records()).length > 0; i++) await sleep(50)
      expect(await left()).toEqual(nothing)
    })

    test('takes a pod down whose daemon is killed meanwhile', async () => {
      const ids = await inParallel(4, [0, 1, 2, 3, 4, 5], (index) =>
        containerd.run({ name: `leaving-${index}` }),
      )
      const down = Promise.allSettled(ids.map((id) => containerd.stop(id)))
      await sleep(Math.random() * 100)
      await daemon.kill()
      await down
      daemon = await machine.startDaemon()
      await Promise.all(ids.map(remove))
      const again = await containerd.run({ name: 'again' })
      await remove(again)
      expect(await left()).toEqual(nothing)
    })
  },
)

async function inParallel<T, R>(most: number, all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const waiting = [...all.entries()]
  const take = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) results[next[0]] = await work(next[1])
  }
  await Promise.all(Array.from({ length: most }, take))
  return results
}
