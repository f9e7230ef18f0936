import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { Pod, PodNetworkStatus } from '@podwire/api'
import type { Outcome } from './call.ts'
import type { Target } from './messages.ts'
import { notTried } from './verdict.ts'

/** The calls that a plugin in another process takes. */
export type ProcessCall = 'setUpPod' | 'tearDownPod' | 'getPodNetworkStatus'

/** What starts such a process, and what each call of it says. */
export type ProcessOrder =
  | { readonly target: Target; readonly pods: readonly Pod[] }
  | { readonly method: ProcessCall; readonly pod: Pod }

/** What it answers. */
export type ProcessAnswer =
  | { readonly ok: true; readonly value?: PodNetworkStatus }
  | { readonly ok: false; readonly message: string }

/** A plugin that runs in a process of its own, on the same kernel and the same state directory. */
export interface PluginProcess {
  call(method: ProcessCall, pod: Pod): Promise<Outcome<PodNetworkStatus | undefined>>
  /** Ends it at once, as SIGKILL does. */
  kill(): Promise<void>
}

/** Starts a plugin in a process of its own; gives up where that fails. @param pods those that its host knows */
export async function startProcess(
  target: Target,
  pods: readonly Pod[],
  step: (text: string) => void,
): Promise<PluginProcess> {
  const file = new URL(`./plugin-process-main${import.meta.url.slice(-3)}`, import.meta.url)
  const child = fork(file, { cwd: target.dir })
  const exit = once(child, 'exit')
  const ask = async (order: ProcessOrder): Promise<Outcome<PodNetworkStatus | undefined>> => {
    const started = performance.now()
    const answer = new AbortController()
    child.send(order)
    try {
      const [message] = await Promise.race([
        once(child, 'message', { signal: answer.signal }),
        exit.then(([code, signal]) => [{ ok: false, message: `the process ended (${signal ?? code})` }]),
        late(target.deadlineMs + target.graceMs, answer.signal),
      ])
      const milliseconds = Math.round(performance.now() - started)
      const said = message as ProcessAnswer // This kit's own process said it.
      return said.ok
        ? { ok: true, value: said.value, milliseconds }
        : { ok: false, error: new Error(said.message), milliseconds }
    } finally {
      answer.abort()
    }
  }
  const kill = async () => {
    child.kill('SIGKILL')
    await exit
  }
  const started = await ask({ target, pods })
  if (!started.ok) {
    await kill()
    notTried(`in a new process: ${String(started.error)}`)
  }
  return {
    call(method, pod) {
      step(`${method}(${pod.namespace}/${pod.name}) in that process`)
      return ask({ method, pod })
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      step('kill -9 of that process')
      await kill()
    },
  }
}

async function late(milliseconds: number, signal: AbortSignal): Promise<[ProcessAnswer]> {
  return new Promise((resolve) => {
    const timer = setTimeout(
      () => resolve([{ ok: false, message: `no answer within ${milliseconds} ms` }]),
      milliseconds,
    )
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  })
}
