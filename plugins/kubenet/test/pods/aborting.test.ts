import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { untilAborted } from '../../src/pods/aborting.ts'

it('waits for work or for a signal, and hears how work ends that nobody waits for any more', async () => {
  const unheard: unknown[] = []
  const listen = (reason: unknown) => void unheard.push(reason)
  process.on('unhandledRejection', listen)
  const failing = async () => {
    await setImmediate()
    throw new Error('broken')
  }
  const never = new AbortController().signal
  expect(await untilAborted(Promise.resolve(7), never)).toBe(7)
  await expect(untilAborted(failing(), never)).rejects.toThrow('broken')
  await expect(untilAborted(failing(), AbortSignal.abort(new Error('late')))).rejects.toThrow('late')
  const controller = new AbortController()
  const waiting = untilAborted(failing(), controller.signal)
  controller.abort(new Error('deadline'))
  await expect(waiting).rejects.toThrow('deadline')
  for (let turn = 0; turn < 5; turn++) await setImmediate()
  process.off('unhandledRejection', listen)
  expect(unheard).toEqual([])
})
