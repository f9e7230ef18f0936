import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../../../../.dev/etcd-server.ts'
import { bootTime } from '../../src/leases/clock.ts'
import { readMemberRecord } from '../../src/leases/member-file.ts'
import { afterThis } from '../leases/members.ts'

/** Where etcd is on the link that all machines share. */
export const ETCD_ADDRESS = '192.0.2.254'
/** Where an etcd is that is reached through the test: see `startProxy`. */
export const PROXY_ADDRESS = '192.0.2.253'

const sh = (command: string) => execFileSync('sh', ['-ec', command], { encoding: 'utf8' })

/** The link, made in the network of this test file. */
export function makeLink(): void {
  sh(`ip link add lan type bridge
    for a in ${ETCD_ADDRESS} ${PROXY_ADDRESS}; do ip addr add $a/24 dev lan; done
    ip link set lan up`)
}

/** Whom a machine no longer hears (`in`), or who no longer hears it (`out`), or both. */
export interface Cut {
  readonly from: 'etcd' | 'nodes' | 'all'
  readonly way: 'both' | 'in' | 'out'
}

/** A daemon's answer to what was asked over its socket. */
export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: what tests look into is for them to know
  readonly body: any
}

/** A network namespace that is a machine: with a /run and a name of its own, on the link of all. */
export interface Machine {
  readonly name: string
  readonly address: string
  /** The path of its network namespace. */
  readonly netns: string
  /** Whether its daemon runs: not killed, not stopped by a signal. */
  readonly isRunning: boolean
  /** What its daemon has logged, over all its starts. */
  log(): string
  /** Runs a shell command on it. */
  sh(command: string): string
  /** Starts its daemon, and waits until it listens. */
  start(env?: NodeJS.ProcessEnv): Promise<void>
  /** The same, without waiting for anything. */
  spawn(env?: NodeJS.ProcessEnv): void
  /** By SIGKILL, unless told otherwise. */
  kill(signal?: NodeJS.Signals): Promise<void>
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
  ask(method: string, path: string, body?: unknown): Promise<Answer>
  /** What its daemon keeps on disk of its lease. */
  record(): ReturnType<typeof readMemberRecord>
  /** The pod CIDR it has and may use, by its own belief. */
  podCIDR(): string | undefined
  /** Sets a pod up, and returns its address and how to run a command in it. */
  pod(name: string): Promise<TestPod>
  cut(cut: Cut): void
  mend(): void
}

export interface TestPod {
  readonly ip: string
  /** Whether another address answers it. */
  reaches(ip: string): boolean
  /** Sends to another address a hundred times a second, until it is ended; resolves with how often it did. */
  sendTo(ip: string): { end(): Promise<number> }
}

/** @param commandLine of the built `podwire` @param config what all daemons are configured by */
export function makeMachine(
  number: number,
  { commandLine, config }: { readonly commandLine: string; readonly config: object },
): Machine {
  const name = `node-${number}`
  const address = `192.0.2.${number}`
  const dir = mkdtempSync(join(tmpdir(), 'podwire-machine-'))
  const file = join(dir, 'podwire.config.json')
  writeFileSync(file, JSON.stringify(config))
  const prepare = `hostname ${name}; mount -t tmpfs tmpfs /run; mkdir /run/netns; ip link set lo up; echo ready; exec sleep 1d`
  const holder = spawn('unshare', ['--net', '--mount', '--uts', 'sh', '-ec', prepare], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let daemon: ChildProcess | undefined
  let isStopped = false
  let log = ''

  const on = (...command: string[]) => [
    ...['--target', String(holder.pid), '--net', '--mount', '--uts', '--'],
    ...command,
  ]
  const onMachine = (command: string) =>
    execFileSync('nsenter', on('sh', '-ec', command), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  const root = () => `/proc/${holder.pid}/root`
  const isAlive = () => daemon !== undefined && daemon.exitCode === null && daemon.signalCode === null

  afterThis(async () => {
    await machine.kill()
    const ended = once(holder, 'exit')
    holder.kill('SIGKILL')
    await ended
    spawnSync('ip', ['link', 'del', `port${number}`])
    rmSync(dir, { recursive: true, force: true })
  })

  const machine: Machine = {
    name,
    address,
    get netns() {
      return `/proc/${holder.pid}/ns/net`
    },
    get isRunning() {
      return isAlive() && !isStopped
    },
    log: () => log,
    sh: onMachine,
    spawn(env = {}) {
      // In place of nsenter: what is killed and stopped is the daemon.
      const args = [process.execPath, commandLine, 'daemon', '--config', file, '--log', 'json']
      const child = spawn('nsenter', on(...args), {
        env: { ...process.env, PODWIRE_CONFIG: '', ...env },
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      child.stderr.on('data', (chunk) => (log += chunk))
      daemon = child
      isStopped = false
    },
    async start(env) {
      machine.spawn(env)
      const from = log.length
      await until(() => {
        if (!isAlive()) throw new Error(`the daemon of ${name} ended: ${log.slice(from)}`)
        return log.slice(from).includes('listening at')
      }, `the daemon of ${name} listens`)
    },
    async kill(signal = 'SIGKILL') {
      if (!daemon || !isAlive()) return
      const ended = once(daemon, 'exit')
      daemon.kill(signal)
      await ended
    },
    signal(signal) {
      isStopped = signal === 'SIGSTOP'
      daemon?.kill(signal)
    },
    ask: (method, path, body) =>
      new Promise((resolve, reject) => {
        const text = body === undefined ? undefined : JSON.stringify(body)
        const sent = request({
          socketPath: `${root()}/run/podwire/podwire.sock`,
          agent: false,
          method,
          path,
          headers: text === undefined ? {} : { 'content-type': 'application/json' },
        })
        sent.on('error', reject)
        sent.on('response', async (response) => {
          let read = ''
          for await (const chunk of response) read += chunk
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(read) })
        })
        sent.end(text)
      }),
    record: () => readMemberRecord(`${root()}/run/podwire`),
    podCIDR() {
      const { state, lease } = machine.record() ?? {}
      const isEnded = lease?.endsAt !== undefined && lease.endsAt <= bootTime()
      return state === 'joined' && !isEnded ? lease?.podCIDR : undefined
    },
    async pod(podName) {
      const { status, body } = await machine.ask('PUT', `/v1/pods/demo/${podName}`, {})
      if (status !== 200) throw new Error(`pod ${podName} on ${name}: ${JSON.stringify(body)}`)
      const { pod, status: network } = body as { pod: { netns: string }; status: { ip: string } } // a record
      const inPod = [`--net=${root()}${pod.netns}`, '--', '/bin/busybox', 'ping']
      return {
        ip: network.ip,
        reaches: (ip) => spawnSync('nsenter', [...inPod, '-c', '1', '-W', '1', ip]).status === 0,
        sendTo(ip) {
          const child = spawn('nsenter', [...inPod, '-i', '0.01', ip])
          let said = ''
          child.stdout.on('data', (chunk) => (said += chunk))
          return {
            async end() {
              const ended = once(child, 'close')
              child.kill('SIGINT')
              await ended
              return Number(/(\d+) packets transmitted/.exec(said)?.[1] ?? 0)
            },
          }
        },
      }
    },
    cut({ from, way }) {
      const others = `{ 192.0.2.1-192.0.2.${number - 1}, 192.0.2.${number + 1}-192.0.2.250 }`
      const whom = {
        etcd: `{ ${ETCD_ADDRESS}, ${PROXY_ADDRESS} }`,
        nodes: number === 1 ? '192.0.2.2-192.0.2.250' : others,
        all: '192.0.2.0/24',
      }[from]
      const chain = (hook: string, side: string) =>
        `add chain inet cut ${hook} { type filter hook ${hook} priority -400; }\nadd rule inet cut ${hook} ip ${side} ${whom} drop\n`
      const rules = `add table inet cut\n${way === 'out' ? '' : chain('prerouting', 'saddr')}${way === 'in' ? '' : chain('postrouting', 'daddr')}`
      execFileSync('nsenter', on('nft', '-f', '-'), { input: rules })
    },
    mend: () => void onMachine('nft delete table inet cut'),
  }
  return machine
}

/** Puts it on the link, once its namespaces are there. */
export async function plugIn(machine: Machine, number: number): Promise<void> {
  await until(() => {
    try {
      return machine.sh('test -d /run/netns && cat /proc/sys/kernel/hostname').trim() === machine.name
    } catch {
      return false
    }
  })
  const pid = machine.netns.split('/')[2]
  sh(`ip link add port${number} master lan up type veth peer name eth0 netns ${pid}`)
  machine.sh(
    `ip addr add ${machine.address}/24 dev eth0; ip link set eth0 up; ip route add default via ${ETCD_ADDRESS}`,
  )
}
