import { execFile, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll } from 'vitest'

const run = promisify(execFile)

/** Whether this machine has etcd: Debian's etcd-server and etcd-client. */
export const hasEtcd = ['etcd', 'etcdctl'].every((command) => {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`])
    return true
  } catch {
    return false
  }
})

/** A member of an etcd that a test runs. */
export interface EtcdMember {
  readonly endpoint: string
  readonly pid: number
  /** By SIGKILL. */
  kill(): Promise<void>
  /** Starts it again, with what it had on disk, or with nothing. */
  restart(how?: { empty?: boolean }): Promise<void>
  /** Runs etcdctl against it, and returns what it prints. */
  ctl(...args: string[]): Promise<string>
}

const undo: (() => Promise<void>)[] = []

afterAll(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))))
  const ports = servers.map((server) => (server.address() as { port: number }).port) // of a TCP server
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

interface EtcdMemberOptions {
  /** More of what the members are started with. */
  readonly args?: readonly string[]
  readonly scheme?: string
  /** More of what etcdctl is started with. */
  readonly ctl?: readonly string[]
  /** Where clients reach the members. */
  readonly address?: string
}

/** Starts an etcd of so many members, ended after the file's tests. */
export async function startEtcd(
  count = 1,
  { args = [], scheme = 'http', ctl = [], address = '127.0.0.1' }: EtcdMemberOptions = {},
): Promise<EtcdMember[]> {
  const ports = await freePorts(2 * count)
  const peers = Array.from({ length: count }, (_, at) => `m${at}=http://127.0.0.1:${ports[2 * at + 1]}`)
  const members = peers.map((peer, at) => {
    const dir = mkdtempSync(join(tmpdir(), 'podwire-etcd-'))
    const endpoint = `${scheme}://${address}:${ports[2 * at]}`
    const peerUrl = peer.split('=')[1] ?? ''
    const command = [
      ...['--name', `m${at}`, '--data-dir', dir, '--log-level', 'error', '--logger', 'zap'],
      ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', peers.join(), '--heartbeat-interval', '50', '--election-timeout', '500'],
      ...args,
    ]
    const start = () => spawn('etcd', command, { stdio: ['ignore', 'ignore', 'ignore'] })
    let child = start()
    const kill = async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
    }
    undo.push(async () => {
      await kill()
      rmSync(dir, { recursive: true, force: true })
    })
    const member = {
      endpoint,
      get pid() {
        return child.pid ?? 0
      },
      kill,
      restart: async ({ empty = false } = {}) => {
        await kill()
        if (empty) rmSync(dir, { recursive: true, force: true })
        child = start()
        await until(() => isHealthy(member))
      },
      ctl: async (...words: string[]) =>
        (
          await run('etcdctl', ['--endpoints', endpoint, ...ctl, ...words], {
            env: { ...process.env, ETCDCTL_API: '3' },
          })
        ).stdout,
    }
    return member
  })
  for (const member of members) await until(() => isHealthy(member))
  return members
}

async function isHealthy(member: EtcdMember): Promise<boolean> {
  return member.ctl('--command-timeout=1s', 'endpoint', 'health').then(
    () => true,
    () => false,
  )
}

/** Waits until something holds; a minute is the end of it. */
export async function until(holds: () => boolean | Promise<boolean>, what = holds.toString()): Promise<void> {
  const began = performance.now()
  while (!(await holds())) {
    if (performance.now() - began > 60_000) throw new Error(`not so after 60 s: ${what}`)
    await sleep(20)
  }
}
