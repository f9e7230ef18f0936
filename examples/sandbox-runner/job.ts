import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { inSandbox, type NetworkHost, type SandboxRecord } from 'podwire'

/** One run of the command, and how far it is. */
export interface Job {
  readonly name: string
  readonly hostPort: number
  state: 'waiting' | 'setting up' | 'running' | 'done' | 'failed' | 'stopped'
  address?: string
  /** Of the set-up, in milliseconds. */
  setUpMs?: number
  /** Why it failed, or what it exited with. */
  note?: string
}

export interface JobSettings {
  readonly command: readonly string[]
  readonly rate: string
  readonly seconds: number
  readonly signal: AbortSignal
  /** Called whenever the job is further than before. */
  changed(): void
}

const podPort = 8080
const nobody = 65534

/** Runs the command in a pod; never rejects, and leaves no pod. */
export async function runJob(host: NetworkHost, job: Job, settings: JobSettings): Promise<void> {
  const { rate, signal, changed } = settings
  const advance = (change: Partial<Job>) => {
    Object.assign(job, change)
    changed()
  }
  const pod = { namespace: 'sandbox-runner', name: job.name }
  try {
    advance({ state: 'setting up' })
    const annotations = { 'kubernetes.io/ingress-bandwidth': rate, 'kubernetes.io/egress-bandwidth': rate }
    const portMappings = [{ hostPort: job.hostPort, containerPort: podPort, protocol: 'tcp' as const }]
    const sandbox = await host.setUpPod(
      { ...pod, annotations, portMappings, ownerPid: process.pid },
      { signal },
    )
    advance({ state: 'running', address: sandbox.status?.ip ?? '', setUpMs: sandbox.setUpMs ?? 0 })
    advance(await runCommand(sandbox, job, settings))
  } catch (error) {
    advance({
      state: signal.aborted ? 'stopped' : 'failed',
      note: error instanceof Error ? error.message : String(error),
    })
  } finally {
    await host.tearDownPod(pod).catch((error: Error) => advance({ state: 'failed', note: error.message }))
  }
}

async function runCommand(
  sandbox: SandboxRecord,
  { name }: Job,
  { command, seconds, signal }: JobSettings,
): Promise<Partial<Job>> {
  const [file = '', ...args] = command
  const child = await inSandbox(sandbox, () =>
    spawn(file, args, {
      env: { PATH: process.env.PATH, JOB: name, PORT: String(podPort) },
      stdio: 'ignore',
      // A process group of its own, so that what it starts is stopped with it.
      detached: true,
      ...withoutPrivileges(),
    }),
  )
  const ended = once(child, 'exit')
  let isLate = false
  // A timer holds what it calls. AbortSignal.any() of AbortSignal.timeout() doesn't: on Node.js 20 it may be collected as
  // garbage, and then never fires.
  const timer = setTimeout(() => {
    isLate = true
    killGroup(child.pid)
  }, seconds * 1000)
  const onAbort = () => killGroup(child.pid)
  signal.addEventListener('abort', onAbort)
  if (signal.aborted) onAbort()
  try {
    const [code] = await ended
    if (signal.aborted) return { state: 'stopped', note: 'interrupted' }
    if (isLate) return { state: 'stopped', note: `not done in ${seconds} s` }
    return { state: code === 0 ? 'done' : 'failed', note: `exit code ${code}` }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}

// A user namespace that maps one user has no other to change to.
function withoutPrivileges(): { uid?: number; gid?: number } {
  const isMachine = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/)[2] !== '1'
  return process.getuid?.() === 0 && isMachine ? { uid: nobody, gid: nobody } : {}
}
