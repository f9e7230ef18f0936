import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { messageOf } from '@podwire/api'
import { errors } from '../errors.ts'
import { interrupted } from '../signals.ts'
import type { Trial } from './trial.ts'

/** A process that has loaded all but the plugin. */
export interface WarmProcess {
  /** Tries the plugin as it is on disk now. Resolves when the process has told how it went; it ends by itself. */
  run(): Promise<Trial>
}

/** What a plugin's trial may take before it is given up. Milliseconds. */
const deadlineMs = 60_000

/** Starts one, in namespaces of its own: what a plugin in the making leaves behind is gone with it. */
export function warmProcess(dir: string): WarmProcess {
  // The command that runs here, once more.
  const [node, bin = ''] = process.argv
  const own = [...process.execArgv, bin, ...process.argv.slice(2), '--child']
  const isRoot = process.getuid?.() === 0
  // Directories that hold what is to be run stay as they are.
  const hidden = ['/run', '/var/lib'].filter(
    (path) => ![dir, bin, node].some((one) => one?.startsWith(`${path}/`)),
  )
  const prepare = [
    ...hidden.map((path) => `mount -t tmpfs tmpfs ${path}`),
    'mkdir -p /run/netns',
    'ip link set lo up',
    'exec "$@"',
  ].join(' && ')
  const child = spawn(
    'unshare',
    [
      ...(isRoot ? [] : ['--user', '--map-root-user']),
      '--net',
      '--mount',
      '--kill-child',
      '--fork',
      'sh',
      '-c',
      prepare,
      'sh',
      node ?? 'node',
      ...own,
    ],
    { stdio: ['ignore', 2, 2, 'ipc'] },
  )
  const stop = () => child.kill('SIGKILL')
  process.once('exit', stop)
  const ended = once(child, 'close').then(
    ([code, signal]) => errors.TRIAL_ENDED({ how: signal ?? `exit code ${code}` }),
    (cause: unknown) =>
      errors.TRIAL_ENDED({ how: 'it could not be started: it needs unshare of util-linux' }, cause),
  )
  const said = messages(child, ended)
  const ready = said.next()
  // Told to whoever runs it.
  ready.catch(() => {})
  return {
    async run() {
      const timer = setTimeout(stop, deadlineMs)
      try {
        await ready
        child.send('go')
        // It says nothing but 'ready' and this.
        return (await said.next()) as Trial
      } catch (error) {
        interrupted.throwIfAborted()
        return { ok: false, problems: [{ message: messageOf(error), positions: [] }] }
      } finally {
        clearTimeout(timer)
        process.off('exit', stop)
        if (interrupted.aborted) stop()
      }
    },
  }
}

function messages(child: ReturnType<typeof spawn>, ended: Promise<Error>) {
  const heard: unknown[] = []
  let wake: (() => void) | undefined
  child.on('message', (message) => {
    heard.push(message)
    wake?.()
  })
  let end: Error | undefined
  void ended.then((error) => {
    end = error
    wake?.()
  })
  return {
    async next(): Promise<unknown> {
      while (heard.length === 0) {
        if (end) throw end
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return heard.shift()
    },
  }
}
