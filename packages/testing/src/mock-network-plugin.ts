import { Capability, type NetworkPlugin } from '@podwire/api'
import { createScript } from './script.ts'

/** The methods of a network plugin, those it may leave out among them. */
export type PluginMethod = Exclude<keyof NetworkPlugin, 'name'>

/** What a mock does when a method is called: a function of the method's own type. */
export type Answer<Method extends PluginMethod> = NonNullable<NetworkPlugin[Method]>

/** An answer for every call, or a list: one for each call, the last one again for all that follow. */
export type Answers = { readonly [Method in PluginMethod]?: Answer<Method> | readonly Answer<Method>[] }

/** A call that a mock received. */
export type PluginCall<Method extends PluginMethod = PluginMethod> = {
  [M in Method]: { readonly method: M; readonly args: Parameters<Answer<M>> }
}[Method]

/** A {@link NetworkPlugin} that records what it is asked and answers as scripted. */
export interface MockNetworkPlugin extends NetworkPlugin {
  /** Every call but those of `capabilities`, in order. */
  readonly calls: readonly PluginCall[]
  /** The arguments of each call of one method. */
  callsOf<Method extends PluginMethod>(method: Method): Parameters<Answer<Method>>[]
  /** Scripts a method anew, from the next call on. */
  answer<Method extends PluginMethod>(method: Method, ...answers: [Answer<Method>, ...Answer<Method>[]]): void
}

/** What a {@link MockNetworkPlugin} is. */
export interface MockNetworkPluginOptions {
  /** Default: `mock`. */
  readonly name?: string
  /** A bitset; default: 0. `checkPod` and `collectGarbage` exist when their bit is set or they are scripted. */
  readonly capabilities?: number
  /** A method without an answer does nothing and succeeds. */
  readonly answers?: Answers
}

/**
 * Makes a {@link MockNetworkPlugin}:
 * `mockNetworkPlugin({ answers: { setUpPod: [rejects(new Error('busy')), resolves({ ip: '10.88.0.2' })] } })`.
 */
export function mockNetworkPlugin(options: MockNetworkPluginOptions = {}): MockNetworkPlugin {
  const { name = 'mock', capabilities = 0, answers = {} } = options
  const script = createScript()
  // What the script records of a method is what the method's type says.
  const calls = script.calls as PluginCall[]
  // The one body of all methods: its arguments and result are those of the answer, which has the method's type.
  const record = <Method extends PluginMethod>(method: Method) =>
    script.method(method) as unknown as Answer<Method>

  for (const [method, answer] of Object.entries(answers)) script.set(method, answer)
  script.set('capabilities', answers.capabilities ?? (() => capabilities))
  const has = (method: 'checkPod' | 'collectGarbage', bit: number) =>
    (capabilities & bit) !== 0 || answers[method] !== undefined
  return {
    name,
    calls,
    callsOf: (method) =>
      // Selected by its method, so that the arguments are that method's.
      calls.filter((call) => call.method === method).map((call) => call.args as never),
    answer: (method, ...given) => script.set(method, given),
    capabilities: () => script.next('capabilities')?.() as number,
    init: record('init'),
    event: record('event'),
    setUpPod: record('setUpPod'),
    tearDownPod: record('tearDownPod'),
    getPodNetworkStatus: record('getPodNetworkStatus'),
    status: record('status'),
    close: record('close'),
    ...(has('checkPod', Capability.check) ? { checkPod: record('checkPod') } : {}),
    ...(has('collectGarbage', Capability.gc) ? { collectGarbage: record('collectGarbage') } : {}),
  }
}
