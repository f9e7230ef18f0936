import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createPodLock } from '../../src/sandboxes/lock.ts'

const scope = () => mkdtempSync(join(tmpdir(), 'podwire-lock-'))
const runSource = new URL('../../../../.dev/run-source.mjs', import.meta.url).href
const patient = { deadlineMs: 30_000 }

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
      hosts[i % 2 === 0 ? 0 : 1].run(`pod-${i % 4}`, operation(`pod-${i % 4}`), patient),
    ),
  )
  expect(most).toBe(1)
  expect(atOnce).toBeGreaterThan(1)
})

test('an operation that fails lets go', async () => {
  const lock = createPodLock(scope())
  await expect(lock.run('p', () => Promise.reject(new Error('no')), patient)).rejects.toThrow('no')
  expect(await lock.run('p', async () => 'next', patient)).toBe('next')
})

test('waiting ends with the signal, and at the deadline with who holds the lock', async () => {
  const name = scope()
  const gate = new EventEmitter()
  const holding = once(gate, 'held')
  const hold = async () => {
    gate.emit('held')
    await once(gate, 'let go')
  }
  const held = createPodLock(name).run('p', hold, patient)
  await holding
  const other = createPodLock(name)
  const signal = AbortSignal.timeout(50)
  await expect(other.run('p', async () => 'never', { signal, deadlineMs: 30_000 })).rejects.toMatchObject({
    name: 'TimeoutError',
  })
  await expect(other.run('p', async () => 'never', { deadlineMs: 30 })).rejects.toMatchObject({
    code: 'POD_LOCKED',
    message: expect.stringContaining(`process ${process.pid} (`),
  })
  expect(await other.tryRun('p', async () => 'ran')).toBeUndefined()
  gate.emit('let go')
  await held
  expect(await other.tryRun('p', async () => 'ran')).toBe('ran')
  expect(readdirSync(join(name, 'locks'))).toEqual([])
})

test('the lock belongs to the directory, however its path is written', async () => {
  const name = scope()
  symlinkSync(name, `${name}-link`)
  const ran = await createPodLock(name).run(
    'p',
    () => createPodLock(`${name}-link`).tryRun('p', async () => 'both'),
    patient,
  )
  expect(ran).toBeUndefined()
})

test('the lock of a process that is killed is free', async () => {
  const name = scope()
  const module = new URL('../../src/sandboxes/lock.ts', import.meta.url).href
  const script = `
    const { createPodLock } = await import(${JSON.stringify(module)})
    createPodLock(${JSON.stringify(name)}).run('p', () => new Promise(() => { console.log('held'); setInterval(() => {}, 1e6) }), { deadlineMs: 1000 })`
  const holder = spawn(process.execPath, ['--import', runSource, '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(holder.stdout, 'data')
  const lock = createPodLock(name)
  expect(await lock.tryRun('p', async () => 'ran')).toBeUndefined()
  const waiting = lock.run('p', async () => 'ran', patient)
  holder.kill('SIGKILL')
  expect(await waiting).toBe('ran')
})

test('files of locks that nobody holds any more are swept away, those of held ones are not', async () => {
  const name = scope()
  const lock = createPodLock(name)
  await lock.run(
    'held',
    async () => {
      const [held] = readdirSync(join(name, 'locks'))
      writeFileSync(join(name, 'locks/left-by-a-kill.lock'), '')
      await lock.sweep()
      expect(readdirSync(join(name, 'locks'))).toEqual([held])
    },
    patient,
  )
})
