import { PodwireError } from '@podwire/api'
import { recordingLogger } from '@podwire/testing'
import { expect, it } from 'vitest'
import { stepsOf } from '../../src/pods/steps.ts'

const pod = { namespace: 'default', name: 'web', sandboxId: 'web-1' }

it('says at which step an operation failed, and why', async () => {
  const step = stepsOf(pod, { log: recordingLogger() }, new AbortController().signal)
  expect(await step('connect', () => 7)).toBe(7)
  const cause = new Error('ENOSPC')
  await expect(step('connect', () => Promise.reject(cause))).rejects.toMatchObject({
    code: 'SETUP_STEP_FAILED',
    message: expect.stringMatching(/default\/web.*connect|connect.*default\/web/),
    cause,
  })
})

it('leaves an error that says so itself as it is', async () => {
  const step = stepsOf(pod, { log: recordingLogger() }, new AbortController().signal)
  const known = new PodwireError({ code: 'PORT_TAKEN', message: 'taken' })
  await expect(step('publish', () => Promise.reject(known))).rejects.toBe(known)
})

it('begins no step after the deadline', async () => {
  const controller = new AbortController()
  const step = stepsOf(pod, { log: recordingLogger() }, controller.signal)
  await expect(
    step('connect', () => {
      controller.abort(new Error('too late'))
      throw new Error('interrupted')
    }),
  ).rejects.toThrow('interrupted')
  let begun = false
  await expect(step('publish', () => (begun = true))).rejects.toThrow('too late')
  expect(begun).toBe(false)
})
