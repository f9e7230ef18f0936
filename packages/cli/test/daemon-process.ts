import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { bin, ended, project } from './podwire.ts'

const running: ChildProcess[] = []
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
})

/** A project whose configuration names a state directory, and daemons in processes of their own for it. */
export function daemonProject(config: { readonly stateDir: string } & Record<string, unknown>) {
  const made = project({ 'podwire.config.json': config })
  const command = [process.execPath, bin, 'daemon', '--log', 'json']
  return {
    ...made,
    socket: join(config.stateDir, 'podwire.sock'),
    /** @param limit shell code that comes before the daemon: `ulimit -n 64` */
    startDaemon: async (limit = ':') => {
      const child = spawn('sh', ['-c', `${limit}; exec "$@"`, 'sh', ...command], {
        cwd: made.dir,
        env: { ...process.env, PODWIRE_CONFIG: '' },
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      running.push(child)
      const end = ended(child)
      let log = ''
      child.stderr.on('data', (chunk) => (log += chunk))
      while (!log.includes('listening at')) {
        await Promise.race([
          once(child.stderr, 'data'),
          end.then(({ stderr }) => Promise.reject(new Error(stderr))),
        ])
      }
      return { child, end, log: () => log }
    },
  }
}
