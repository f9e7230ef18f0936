import type { NetworkPlugin } from '@podwire/api'

type Method = Exclude<keyof NetworkPlugin, 'name'>

/** One call that a mock received. */
export interface MockCall {
  readonly method: Method
  readonly args: readonly unknown[]
}

/**
 * What a mocked method does: returns `value` (whatever its type: hosts must survive garbage), throws `error` (also
 * what is no error), or runs `call`; after `delayMs`. `hang` never settles; `hangUntilAbort` rejects at the signal.
 */
export type MockAnswer =
  | { readonly value?: unknown; readonly delayMs?: number }
  | { readonly error: unknown; readonly delayMs?: number }
  | { readonly call: (...args: readonly unknown[]) => unknown; readonly delayMs?: number }
  | { readonly hang: true }
  | { readonly hangUntilAbort: true }

/** A network plugin that records its calls and answers as told. */
export interface MockNetworkPlugin extends NetworkPlugin {
  readonly calls: MockCall[]
  /** The calls of one method. */
  callsOf(method: Method): MockCall[]
  /** From now on `method` answers so. */
  answer(method: Method, answer: MockAnswer): void
  /** For its next call only; calls queue. */
  answerOnce(method: Method, answer: MockAnswer): void
}

/** Makes a plugin that does nothing, successfully, until told otherwise. */
export function createMockNetworkPlugin(
  name = 'example.com/mock',
  answers: Partial<Record<Method, MockAnswer>> = {},
): MockNetworkPlugin {
  const calls: MockCall[] = []
  const standing = new Map<Method, MockAnswer>([['capabilities', { value: 0 }]])
  const queued = new Map<Method, MockAnswer[]>()
  for (const [method, answer] of Object.entries(answers)) standing.set(method as Method, answer)

  const receive = (method: Method, args: readonly unknown[]): unknown => {
    calls.push({ method, args })
    return perform(queued.get(method)?.shift() ?? standing.get(method) ?? {}, args)
  }
  // A mock may return what the contract forbids: that is what it is for.
  const mocked = (method: Method) => ((...args: unknown[]) => receive(method, args)) as never

  return {
    name,
    calls,
    callsOf: (method) => calls.filter((call) => call.method === method),
    answer: (method, answer) => void standing.set(method, answer),
    answerOnce: (method, answer) => void queued.set(method, [...(queued.get(method) ?? []), answer]),
    init: mocked('init'),
    event: mocked('event'),
    capabilities: mocked('capabilities'),
    setUpPod: mocked('setUpPod'),
    tearDownPod: mocked('tearDownPod'),
    getPodNetworkStatus: mocked('getPodNetworkStatus'),
    status: mocked('status'),
    checkPod: mocked('checkPod'),
    collectGarbage: mocked('collectGarbage'),
    close: mocked('close'),
  }
}

function perform(answer: MockAnswer, args: readonly unknown[]): unknown {
  if ('hang' in answer) return new Promise(() => {})
  if ('hangUntilAbort' in answer) return untilAbort(args.find((arg) => arg instanceof AbortSignal))
  const outcome = () => {
    if ('error' in answer) throw answer.error
    return 'call' in answer ? answer.call(...args) : answer.value
  }
  if (answer.delayMs === undefined) return outcome()
  return new Promise((resolve) => setTimeout(resolve, answer.delayMs)).then(outcome)
}

function untilAbort(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
