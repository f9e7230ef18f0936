import { createScript } from './script.ts'

// The methods of `CNI` in @podwire/libcni. Its types come with the caller, so that this package needs no runtime of CNI.
const methods = [
  'add',
  'check',
  'del',
  'gc',
  'status',
  'version',
  'validate',
  'cached',
  'attachments',
] as const

/** A method of `CNI`. */
export type CniMethod = (typeof methods)[number]

/** What `CNI` of @podwire/libcni is, as far as a mock must know. */
export type CniLike = { [Method in CniMethod]: (...args: never[]) => Promise<unknown> }

/** An answer for every call, or a list: one for each call, the last one again for all that follow. */
export type CniAnswers<CNI extends CniLike> = {
  readonly [Method in CniMethod]?: CNI[Method] | readonly CNI[Method][]
}

/** A `CNI` that records what it is asked and answers as scripted. Source: the kubelet's `mock_cni`. */
export type MockCNI<CNI extends CniLike> = CNI & {
  /** Every call, in order. */
  readonly calls: readonly { readonly method: CniMethod; readonly args: readonly unknown[] }[]
  /** The arguments of each call of one method. */
  callsOf<Method extends CniMethod>(method: Method): Parameters<CNI[Method]>[]
  /** Scripts a method anew, from the next call on. */
  answer<Method extends CniMethod>(method: Method, ...answers: [CNI[Method], ...CNI[Method][]]): void
}

/**
 * Makes a {@link MockCNI}: `mockCni<CNI>({ add: resolves({ cniVersion: '1.1.0', ips: [] }) })`. A method without an answer
 * resolves with nothing.
 */
export function mockCni<CNI extends CniLike>(answers: CniAnswers<CNI> = {}): MockCNI<CNI> {
  const script = createScript()
  for (const [method, answer] of Object.entries(answers)) script.set(method, answer)
  return {
    // Each has the type of its answers, which `CniAnswers` took from the interface that is mocked.
    ...(Object.fromEntries(methods.map((method) => [method, script.method(method)])) as unknown as CNI),
    calls: script.calls as { method: CniMethod; args: unknown[] }[],
    callsOf: (method) =>
      script.calls.filter((call) => call.method === method).map((call) => call.args as never),
    answer: (method, ...given) => script.set(method, given),
  }
}
