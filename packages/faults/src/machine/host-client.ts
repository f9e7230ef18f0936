import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { HostBundle } from './bundle.ts'
import type { Answer, Operation } from './calls.ts'

/** A host process, seen from its parent. */
export interface HostClient {
  /** What the process said besides its answers, newest last. */
  readonly notes: readonly string[]
  /** @throws HostError when the host refuses, `CUT_OFF` when its process is gone, `HANGS` after half a minute */
  call(operation: Operation): Promise<void>
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
}

/** What a host answered with. */
export class HostError extends Error {
  readonly code: string
  constructor(message: string, code: string) {
    super(message)
    this.name = 'HostError'
    this.code = code
  }
}

const deadlineMs = 30_000

/** Starts a process; whoever calls first waits until it is there. */
export function startHost({ script }: HostBundle): HostClient {
  const child: ChildProcess = fork(script, { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const gone = once(child, 'exit')
  const waiting = new Map<number, { resolve(): void; reject(error: Error): void }>()
  const notes: string[] = []
  let last = 0
  let isGone = false

  const answerTo = (id: number) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new HostError(`no answer after ${deadlineMs} ms`, 'HANGS')),
        deadlineMs,
      )
      const settle = (act: () => void) => {
        clearTimeout(timer)
        waiting.delete(id)
        act()
      }
      waiting.set(id, {
        resolve: () => settle(resolve),
        reject: (error) => settle(() => reject(error)),
      })
    })
  const ready = answerTo(0)
  ready.catch(() => {})

  child.on('message', (message) => {
    const { id, error, note } = message as Answer // calls.ts is what the child sends
    if (note !== undefined) notes.push(note)
    if (error) waiting.get(id)?.reject(new HostError(error.message, error.code))
    else waiting.get(id)?.resolve()
  })
  child.on('exit', () => {
    isGone = true
    for (const one of [...waiting.values()]) one.reject(new HostError('its process is gone', 'CUT_OFF'))
  })

  return {
    notes,
    async call(operation) {
      await ready
      if (isGone) throw new HostError('its process is gone', 'CUT_OFF')
      const id = ++last
      const answer = answerTo(id)
      child.send({ ...operation, id }, () => {})
      return answer
    },
    async kill() {
      child.kill('SIGKILL')
      await gone
    },
  }
}
