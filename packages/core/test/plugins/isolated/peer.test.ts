import { duplexPair } from 'node:stream'
import { isPodwireError, PodwireError } from '@podwire/api'
import { expect, test } from 'vitest'
import { createLineReader } from '../../../src/plugins/isolated/lines.ts'
import { maxMessageBytes } from '../../../src/plugins/isolated/messages.ts'
import { createPeer, type PeerHandlers } from '../../../src/plugins/isolated/peer.ts'

type Handle = PeerHandlers['handle']

/** Two sides of a socket: one that calls, and one that handles. What is broken is told. */
function pair(handle: Handle) {
  const [here, there] = duplexPair()
  const broken: string[] = []
  const told: unknown[] = []
  const caller = createPeer(here, {
    handle: async () => undefined,
    told: (topic, details) => told.push([topic, details]),
    broken: (problem) => broken.push(problem),
  })
  const handler = createPeer(there, { handle, told() {}, broken: (problem) => broken.push(problem) })
  return { caller, handler, broken, told }
}

/** One side that calls, and raw lines of the other. */
function raw() {
  const [here, there] = duplexPair()
  const broken: string[] = []
  const heard: { id: string }[] = []
  const caller = createPeer(here, {
    handle: async () => undefined,
    told() {},
    broken: (problem) => broken.push(problem),
  })
  there.on(
    'data',
    createLineReader(maxMessageBytes, (line) => heard.push(JSON.parse(line))),
  )
  const say = (what: unknown) => there.write(typeof what === 'string' ? what : `${JSON.stringify(what)}\n`)
  return { caller, broken, heard, say }
}

const rejection = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  )

test('a call is answered with what was returned, many at once each with its own', async () => {
  const { caller } = pair(async (method, args) => `${method}${args.join('+')}`)
  const calls = Array.from({ length: 100 }, (_, i) => caller.call('add', [i, 1]))
  expect(await Promise.all(calls)).toEqual(Array.from({ length: 100 }, (_, i) => `add${i}+1`))
})

test('an error arrives as it was thrown: code, details, causes, system error, AggregateError', async () => {
  const cause = Object.assign(new TypeError('no such file'), { code: 'ENOENT', errno: -2 })
  const thrown = new PodwireError({
    code: 'NO_LEASE',
    message: 'no lease: ask for one',
    details: { node: 'a', at: [1, 2] },
    exitCode: 2,
    cause: new AggregateError([cause, 'a string'], 'two of them'),
  })
  const { caller } = pair(async () => {
    throw thrown
  })
  const error = await rejection(caller.call('x', []))
  expect(isPodwireError(error)).toBe(true)
  expect(error).toBeInstanceOf(PodwireError)
  expect(error).toMatchObject({
    name: 'PodwireError',
    code: 'NO_LEASE',
    message: 'no lease: ask for one',
    details: { node: 'a', at: [1, 2] },
    exitCode: 2,
    stack: thrown.stack,
  })
  const { cause: inner } = error as { cause: AggregateError }
  expect(inner).toBeInstanceOf(AggregateError)
  expect(inner.errors).toMatchObject([
    { name: 'TypeError', message: 'no such file', code: 'ENOENT', errno: -2 },
    'a string',
  ])
})

test.each([
  ['a string', 'bare'],
  ['nothing', undefined],
  ['null', null],
])('%s that was thrown arrives as it is', async (_name, thrown) => {
  const { caller } = pair(async () => {
    throw thrown
  })
  const [caught] = await Promise.all([
    caller.call('x', []).then(
      () => ['resolved'],
      (error: unknown) => [error],
    ),
  ])
  expect(caught).toEqual([thrown])
})

test('what JSON can not carry is an error as a result, and text in an error', async () => {
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  const { caller } = pair(async (method) => {
    if (method === 'cycle') return cycle
    throw Object.assign(new Error('odd'), { cycle, big: 7n, text: 'x'.repeat(1e6) })
  })
  expect(String(await rejection(caller.call('cycle', [])))).toContain('circular')
  const error = await rejection(caller.call('odd', []))
  expect(error).toMatchObject({ message: 'odd', big: '7n', cycle: 'object' })
  expect((error as { text: string }).text.length).toBeLessThan(100)
})

test('a signal that aborts here aborts there, with its reason', async () => {
  const { caller } = pair(
    (_method, _args, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  )
  const controller = new AbortController()
  const call = caller.call('x', [], controller.signal)
  controller.abort(new Error('the user went away'))
  await expect(call).rejects.toThrow('the user went away')
})

test('a message that is too large is not sent, and one as a result is an error', async () => {
  const { caller, broken } = pair(async () => 'x'.repeat(maxMessageBytes))
  await expect(caller.call('x', [])).rejects.toMatchObject({ code: 'PLUGIN_MESSAGE_TOO_LARGE' })
  await expect(caller.call('x', ['x'.repeat(maxMessageBytes)])).rejects.toMatchObject({
    code: 'PLUGIN_MESSAGE_TOO_LARGE',
  })
  expect(broken).toEqual([])
})

test.each<[string, (id: string) => unknown, string]>([
  ['answers a call that nobody made', () => ({ kind: 'answer', id: '1', result: 1 }), 'nobody waits for'],
  [
    'fails a call that nobody made',
    (id) => ({ kind: 'failure', id: `${id}x`, error: {} }),
    'nobody waits for',
  ],
  ['sends what is no JSON', () => 'hello\n', "can't be read"],
  ['sends a number', () => 7, 'of no kind that there is'],
  ['sends another kind', () => ({ kind: 'order', id: '1' }), 'of no kind that there is'],
  ['sends a key too many', (id) => ({ kind: 'answer', id, result: 1, more: 1 }), 'of no kind that there is'],
  ['nests too deeply', () => `${'['.repeat(1e6)}\n`, "can't be read"],
  ['sends a line without end', () => 'x'.repeat(maxMessageBytes + 2), 'longer than'],
])('who %s is told of once, and heard no more', async (_name, said, problem) => {
  const { caller, broken, heard, say } = raw()
  let settled = false
  void rejection(caller.call('x', [])).then(() => {
    settled = true
  })
  await expect.poll(() => heard.length).toBe(1)
  say(said(heard[0]?.id ?? ''))
  await expect.poll(() => broken).toEqual([expect.stringContaining(problem)])
  say({ kind: 'answer', id: heard[0]?.id, result: 1 })
  say('again\n')
  await new Promise((resolve) => setImmediate(resolve))
  expect(broken).toHaveLength(1)
  expect(settled).toBe(false)
})

test('a second answer to a call is told of, and the first one counts', async () => {
  const { caller, broken, heard, say } = raw()
  const call = caller.call('x', [])
  await expect.poll(() => heard.length).toBe(1)
  say({ kind: 'answer', id: heard[0]?.id, result: 'first' })
  say({ kind: 'answer', id: heard[0]?.id, result: 'second' })
  expect(await call).toBe('first')
  await expect.poll(() => broken).toEqual([expect.stringContaining('nobody waits for')])
})

test('the end rejects what waits and what comes', async () => {
  const { caller } = raw()
  const why = new Error('gone')
  const call = rejection(caller.call('x', []))
  caller.end(why)
  expect(await call).toBe(why)
  expect(await rejection(caller.call('x', []))).toBe(why)
})

test('lines are cut wherever chunks end, and a long one is kept to its limit', () => {
  const text = 'one\ntwo\n\nthree is long\nfour\n'
  for (let size = 1; size <= text.length; size++) {
    const lines: [string, boolean][] = []
    const read = createLineReader(5, (line, isCut) => lines.push([line, isCut]))
    for (let at = 0; at < text.length; at += size) read(Buffer.from(text.slice(at, at + size)))
    expect(lines).toEqual([
      ['one', false],
      ['two', false],
      ['', false],
      ['three', true],
      ['four', false],
    ])
  }
})
