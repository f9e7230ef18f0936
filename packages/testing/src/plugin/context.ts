import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventDetails, Pod, PodNetworkStatus } from '@podwire/api'
import { messageOf, type NetworkPlugin, type PluginModule, podKey, podRef } from '@podwire/api'
import type { FakeHost } from '../fake-host.ts'
import { compareStates, describeDifference, isSame, readState, type State } from '../kernel-state/state.ts'
import { describeOutcome, type Outcome, settle } from './call.ts'
import type { Target } from './messages.ts'
import type { Watch } from './observations.ts'
import { type PluginProcess, startProcess } from './plugin-process.ts'
import { deleteNetns, makePod, shell } from './pods.ts'
import { chooseTarget, importTarget, moduleProblem, probeTarget, startPlugin } from './subject.ts'
import { broken, notTried } from './verdict.ts'

const patienceMs = 3_000

/** An initialised plugin, each call of which is a step of the rule. */
export interface Instance {
  readonly plugin: NetworkPlugin
  readonly host: FakeHost
  setUp(pod: Pod, signal?: AbortSignal): Promise<Outcome<PodNetworkStatus | undefined>>
  tearDown(pod: Pod, signal?: AbortSignal): Promise<Outcome<void>>
  status(pod: Pod): Promise<Outcome<PodNetworkStatus | undefined>>
  event(name: string, details: EventDetails): Promise<Outcome<void>>
  /** Any other call. */
  call<Value>(what: string, call: (signal: AbortSignal) => Value | Promise<Value>): Promise<Outcome<Value>>
  /** A call that this rule needs but isn't about: gives up where it fails. */
  mustSetUp(pod: Pod): Promise<PodNetworkStatus | undefined>
  mustTearDown(pod: Pod): Promise<void>
  close(): Promise<void>
}

/** What a rule is tried with. */
export interface RuleContext {
  readonly target: Target
  /** Imports the package, once for all rules; rejects as that did. */
  exports(): Promise<unknown>
  /** The package's module, or gives up. */
  module(): Promise<PluginModule>
  /** Asks the package for its plugins, or gives up. */
  probe(): Promise<NetworkPlugin[]>
  /** A plugin that nobody has initialised, or gives up. */
  fresh(): Promise<NetworkPlugin>
  /** A new plugin, initialised, or gives up. Closed when the rule ends. */
  start(): Promise<Instance>
  /** The same in a process of its own, as a host that is started again; ended when the rule ends. */
  startProcess(pods: readonly Pod[]): Promise<PluginProcess>
  /** A pod with a network namespace of its own, removed when the rule ends. */
  pod(): Promise<Pod>
  /** Sets a pod up and tears it down, so that what a plugin needs once is there. */
  warmUp(instance: Instance): Promise<void>
  /** Writes down what is done. */
  step(text: string): void
  /** What the kernel and the file system hold, on the host and in the sandboxes of these pods. */
  state(...pods: readonly Pod[]): Promise<State>
  /** Breaks the rule where the state doesn't become what it was. */
  mustBe(before: State, ...pods: readonly Pod[]): Promise<void>
  /** The same, where links may have other names that a plugin made up: it may connect a pod anew to change it. */
  mustBeLike(before: State, ...pods: readonly Pod[]): Promise<void>
}

/** The context of all rules of a process. `end` undoes what one rule needed. */
export function createContext(
  target: Target,
  watch: Watch,
  onStep: (text: string) => void,
): { context: RuleContext; end(): Promise<void> } {
  let imported: Promise<unknown> | undefined
  const undo: (() => Promise<void>)[] = []
  const sandboxes = new Set<string>()

  const step = (text: string) => {
    watch.doing = text
    onStep(text)
  }
  const noteErrors = (outcome: Outcome<unknown>) => {
    if (!outcome.ok && !(outcome.error instanceof Error))
      watch.observations.notErrors.push(`${watch.doing} ${describeOutcome(outcome)}`)
  }

  const instanceOf = (plugin: NetworkPlugin, host: FakeHost): Instance => {
    const call = async <Value>(
      what: string,
      run: (signal: AbortSignal) => Value | Promise<Value>,
      signal?: AbortSignal,
    ) => {
      step(what)
      const outcome = await settle(what, target, run, signal)
      noteErrors(outcome)
      return outcome
    }
    const know = (pod: Pod) => {
      host.sandboxes.set(pod.sandboxId, pod.netns)
      const index = host.pods.findIndex(({ sandboxId }) => sandboxId === pod.sandboxId)
      host.pods.splice(index < 0 ? host.pods.length : index, 1, pod)
    }
    const forget = (pod: Pod) => {
      const index = host.pods.findIndex(({ sandboxId }) => sandboxId === pod.sandboxId)
      if (index >= 0) host.pods.splice(index, 1)
    }
    const instance: Instance = {
      plugin,
      host,
      call,
      setUp: (pod, signal) => {
        know(pod)
        const given = describePod(pod)
        return call(
          `setUpPod(${given})`,
          async (inner) => (await plugin.setUpPod(pod, inner)) ?? undefined,
          signal,
        )
      },
      tearDown: (pod, signal) =>
        call(`tearDownPod(${podKey(pod)})`, (inner) => plugin.tearDownPod(podRef(pod), inner), signal).then(
          (outcome) => {
            if (outcome.ok) forget(pod)
            return outcome
          },
        ),
      status: (pod) => {
        know(pod)
        return call(
          `getPodNetworkStatus(${podKey(pod)})`,
          async (inner) => (await plugin.getPodNetworkStatus(podRef(pod), inner)) ?? undefined,
        )
      },
      event: (name, details) =>
        call(`event('${name}', ${JSON.stringify(details)})`, () => plugin.event(name, details)),
      async mustSetUp(pod) {
        const outcome = await instance.setUp(pod)
        return outcome.ok ? outcome.value : notTried(`setUpPod ${describeOutcome(outcome)}`)
      },
      async mustTearDown(pod) {
        const outcome = await instance.tearDown(pod)
        if (!outcome.ok) notTried(`tearDownPod ${describeOutcome(outcome)}`)
      },
      async close() {
        const outcome = await call('close()', () => plugin.close?.())
        if (!outcome.ok) broken(`close ${describeOutcome(outcome)}`)
      },
    }
    return instance
  }

  const context: RuleContext = {
    target,
    step,
    exports: () => {
      imported ??= importTarget(target)
      return imported
    },
    async module() {
      const exports = await context
        .exports()
        .catch((error: unknown) => notTried(`its import failed: ${messageOf(error)}`))
      const problem = moduleProblem(exports)
      if (problem !== undefined) notTried(problem)
      return exports as PluginModule // Each property that is used was looked at.
    },
    async probe() {
      const module = await context.module()
      step('probe()')
      return probeTarget(module, target).catch((error: unknown) =>
        notTried(`its probe failed: ${messageOf(error)}`),
      )
    },
    async fresh() {
      const plugins = await context.probe()
      try {
        return chooseTarget(plugins, target)
      } catch (error) {
        return notTried(messageOf(error))
      }
    },
    async start() {
      const plugin = await context.fresh()
      step('init(), then the pod CIDR')
      const outcome = await settle('init', target, () => startPlugin(plugin, target))
      noteErrors(outcome)
      if (!outcome.ok) return notTried(`init ${describeOutcome(outcome)}`)
      const { close, ...instance } = instanceOf(plugin, outcome.value.host)
      let isClosed = false
      const closeOnce = async () => {
        if (isClosed) return
        isClosed = true
        await close()
      }
      undo.push(async () => {
        // What a rule leaves set up is none of the next one's.
        if (!isClosed) for (const pod of [...outcome.value.host.pods]) await instance.tearDown(pod)
        await closeOnce()
      })
      return { ...instance, close: closeOnce }
    },
    async startProcess(pods) {
      await context.module()
      step('a new process: import, probe(), init(), the pod CIDR')
      const started = await startProcess(target, pods, step)
      undo.push(started.kill)
      return started
    },
    async pod() {
      const pod = await makePod(target)
      sandboxes.add(pod.sandboxId)
      undo.push(() => deleteNetns(pod))
      return pod
    },
    async warmUp(instance) {
      const pod = await context.pod()
      await instance.mustSetUp(pod)
      await instance.mustTearDown(pod)
      await deleteNetns(pod)
    },
    async state(...pods) {
      const places = pods.map(({ sandboxId }) => sandboxId)
      const state = await readState(shell, places)
      const others = (await readdir('/run/netns')).filter((name) => !sandboxes.has(name))
      return [...state.filter((line) => !isOfLoopback(line)), ...others.map((name) => `netns ${name}`)].sort()
    },
    mustBe: (before, ...pods) => mustBecome(before, () => context.state(...pods)),
    mustBeLike: (before, ...pods) =>
      mustBecome(anonymous(before), async () => anonymous(await context.state(...pods))),
  }
  const end = async () => {
    for (const one of undo.splice(0).reverse()) await one()
  }
  return { context, end }
}

function describePod(pod: Pod): string {
  const more = [
    ...pod.portMappings.map(
      ({ hostPort, containerPort, protocol }) => `${hostPort}:${containerPort}/${protocol}`,
    ),
    ...Object.entries(pod.annotations).map(([key, value]) => `${key}=${value}`),
  ]
  return [podKey(pod), ...more].join(', ')
}

async function mustBecome(before: State, read: () => Promise<State>): Promise<void> {
  // The kernel removes what was in a deleted namespace after a while.
  const end = performance.now() + patienceMs
  for (;;) {
    const difference = compareStates(before, await read())
    if (isSame(difference)) return
    if (performance.now() > end) broken(describeDifference(difference))
    await sleep(100)
  }
}

/** A state without the random part of names: `veth452eaf2d` and `veth539a21b3` are both `veth…`. */
export function anonymous(state: State): State {
  return state.map((line) => line.replace(/[0-9a-f]{8,}/g, '…')).sort()
}

/**
 * Whether a line of a state is about a sandbox's loopback: to some plugins it is a network of CNI's, which the kubelet
 * takes down with the others; to others it comes with the sandbox.
 */
function isOfLoopback(line: string): boolean {
  return !line.startsWith('host:') && / (link lo |address .* on lo$)/.test(line)
}
