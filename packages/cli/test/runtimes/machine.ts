import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectNetworkHost, type RemoteNetworkHost } from '@podwire/client'
import { bin } from '../podwire.ts'

/** A table of processes and mounts that the runtimes of a test have for themselves; all in it ends with it. */
export interface Machine {
  readonly dir: string
  readonly binDir: string
  readonly confDir: string
  readonly stateDir: string
  readonly socket: string
  start(command: string, ...args: string[]): ChildProcess
  /** Runs a program to its end; rejects with what it said when it fails. Resolves with its stdout. */
  run(command: string, ...args: string[]): Promise<string>
  podwire(...args: string[]): Promise<string>
  /** Starts the daemon, and waits until it listens. */
  startDaemon(): Promise<{ kill(): Promise<void> }>
  host(): Promise<RemoteNetworkHost>
  close(): Promise<void>
}

const debianPlugins = '/usr/lib/cni'

/** Makes a machine with kubenet as the daemon's network plugin, and Debian's CNI plugins beside ours. */
export async function makeMachine(podCIDR: string): Promise<Machine> {
  // Below /run, which each test file has for itself and which is in memory, as paths of sockets are short.
  mkdirSync('/run/m', { recursive: true })
  const dir = mkdtempSync('/run/m/')
  const [binDir, confDir, stateDir] = [join(dir, 'bin'), join(dir, 'net.d'), '/run/podwire']
  mkdirSync(binDir)
  // containerd brings up lo by a plugin of its own, and others stand behind ours.
  for (const name of readdirSync(debianPlugins)) symlinkSync(join(debianPlugins, name), join(binDir, name))
  const config = join(dir, 'podwire.config.json')
  writeFileSync(config, JSON.stringify({ networkPlugin: 'kubenet', podCIDR, stateDir }))
  const holder = spawn(
    'unshare',
    ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', 'echo ready; exec cat'],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  holder.stdin.on('error', () => {})
  await once(holder.stdout, 'data')
  const enter = [`--target=${holder.pid}`, '--mount', `--pid=/proc/${holder.pid}/ns/pid_for_children`, '--']
  const start = (command: string, ...args: string[]) =>
    spawn('nsenter', [...enter, command, ...args], { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] })
  const run = (command: string, ...args: string[]) =>
    new Promise<string>((resolve, reject) => {
      execFile(
        'nsenter',
        [...enter, command, ...args],
        { cwd: dir, maxBuffer: 2 ** 24 },
        (error, stdout, stderr) => {
          if (error) reject(new Error(`${command} ${args.join(' ')}: ${stderr}${stdout}`))
          else resolve(stdout)
        },
      )
    })
  const socket = join(stateDir, 'podwire.sock')
  const hosts: RemoteNetworkHost[] = []
  return {
    dir,
    binDir,
    confDir,
    stateDir,
    socket,
    start,
    run,
    podwire: (...args) => run(process.execPath, bin, ...args, '--config', config),
    startDaemon: async () => {
      const child = start(process.execPath, bin, 'daemon', '--log', 'json', '--config', config)
      let log = ''
      child.stderr?.on('data', (chunk) => {
        log += chunk
      })
      const closed = once(child, 'close')
      while (!log.includes('listening at')) {
        const ended = await Promise.race([
          once(child.stderr as NodeJS.ReadableStream, 'data').then(() => false),
          closed.then(() => true),
        ])
        if (ended) throw new Error(log)
      }
      const pid = Number(/"pid":(\d+)/.exec(log)?.[1])
      return {
        kill: async () => {
          await run('kill', '-9', String(pid))
          await closed
        },
      }
    },
    host: async () => {
      const host = await connectNetworkHost({ socket })
      hosts.push(host)
      return host
    },
    close: async () => {
      for (const host of hosts) await host.close()
      const closed = once(holder, 'close')
      holder.stdin.end()
      holder.kill('SIGKILL')
      await closed
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
