import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createPodLock } from '../../src/routing/pod-lock.ts'

const scope = () => `test-${process.pid}-${Math.random()}`

test('operations on one pod take turns, also between two hosts; other pods go on', async () => {
  const name = scope()
  const hosts = [createPodLock(name), createPodLock(name)] as const
  const inside = new Map<string, number>()
  let most = 0
  let atOnce = 0
  const operation = (pod: string) => async () => {
    inside.set(pod, (inside.get(pod) ?? 0) + 1)
    most = Math.max(most, inside.get(pod) ?? 0)
    atOnce = Math.max(
      atOnce,
      [...inside.values()].reduce((a, b) => a + b, 0),
    )
    await sleep(2)
    inside.set(pod, (inside.get(pod) ?? 0) - 1)
  }
  await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      hosts[i % 2 === 0 ? 0 : 1].run(`pod-${i % 4}`, operation(`pod-${i % 4}`)),
    ),
  )
  expect(most).toBe(1)
  expect(atOnce).toBeGreaterThan(1)
})

test('an operation that fails lets go', async () => {
  const lock = createPodLock(scope())
  await expect(lock.run('p', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await lock.run('p', async () => 'next')).toBe('next')
})

test('waiting ends with the signal', async () => {
  const name = scope()
  const controller = new AbortController()
  const held = createPodLock(name).run('p', () => sleep(2_000, undefined, { signal: controller.signal }))
  await sleep(20)
  const waiting = createPodLock(name).run('p', async () => 'never', AbortSignal.timeout(50))
  await expect(waiting).rejects.toMatchObject({ name: 'TimeoutError' })
  controller.abort()
  await held.catch(() => {})
})

test('trying leaves a held pod alone', async () => {
  const name = scope()
  const held = createPodLock(name).run('p', () => sleep(100))
  await sleep(20)
  expect(await createPodLock(name).tryRun('p', async () => 'ran')).toBeUndefined()
  await held
  expect(await createPodLock(name).tryRun('p', async () => 'ran')).toBe('ran')
})

test('the lock of a process that is killed is free', async () => {
  const name = scope()
  const module = new URL('../../src/routing/pod-lock.ts', import.meta.url).href
  const script = `
    const { createPodLock } = await import(${JSON.stringify(module)})
    createPodLock(${JSON.stringify(name)}).run('p', () => new Promise(() => { console.log('held'); setInterval(() => {}, 1e6) }))`
  const holder = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(holder.stdout, 'data')
  const lock = createPodLock(name)
  expect(await lock.tryRun('p', async () => 'ran')).toBeUndefined()
  const waiting = lock.run('p', async () => 'ran')
  holder.kill('SIGKILL')
  expect(await waiting).toBe('ran')
})
