import { expect, test } from 'vitest'
import { createHostEmitter } from '../src/events.ts'

test('a listener that throws or rejects harms neither the others nor whoever tells', async () => {
  const failures: unknown[] = []
  const emitter = createHostEmitter((event, error) => failures.push([event, String(error)]))
  const heard: string[] = []
  emitter.on('plugin:ready', () => {
    throw new Error('boo')
  })
  emitter.on('plugin:ready', () => Promise.reject(new Error('later')))
  const stop = emitter.on('plugin:ready', ({ plugin }) => heard.push(plugin))
  emitter.once('plugin:ready', () => heard.push('once'))
  emitter.emit('plugin:ready', { plugin: 'x', durationMs: 1 })
  stop()
  emitter.emit('plugin:ready', { plugin: 'y', durationMs: 1 })
  await new Promise(setImmediate)
  expect(heard).toEqual(['x', 'once'])
  expect(failures).toHaveLength(4)
  expect(failures).toContainEqual(['plugin:ready', 'Error: later'])
})
