import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** This network's address on the link of all machines, and etcd's. */
const here = '192.0.2.254'
export const endpoint = `http://${here}:2379`

export const sh = (command: string) => execFileSync('sh', ['-ec', command], { encoding: 'utf8' })
export const hasEtcd = () => spawnSync('sh', ['-c', 'command -v etcd && command -v etcdctl']).status === 0

export const machineNetns = (number: number) => `/run/netns/bench-node-${number}`

/** Network namespaces that are machines at 192.0.2.1, 192.0.2.2, …, all on one link with this one. Resolves with what takes them away. */
export function makeMachines(count: number): () => void {
  sh(`ip link add lan type bridge; ip addr add ${here}/24 dev lan; ip link set lan up`)
  for (let number = 1; number <= count; number++)
    sh(`ip netns add bench-node-${number}
      ip link add port${number} master lan up type veth peer name eth0 netns bench-node-${number}
      ip -n bench-node-${number} addr add 192.0.2.${number}/24 dev eth0
      ip -n bench-node-${number} link set lo up
      ip -n bench-node-${number} link set eth0 up`)
  return () => {
    // A namespace stays for as long as a process that ends is in it, and its links with it.
    for (let number = 1; number <= count; number++)
      sh(`ip link del port${number}; ip netns del bench-node-${number}`)
    sh('ip link del lan')
  }
}

/** An etcd of one member on that link. Resolves with what ends it. */
export async function startEtcd(): Promise<() => Promise<void>> {
  const dir = mkdtempSync('/run/podwire-bench-etcd-')
  const peer = `http://${here}:2380`
  const args = [
    ...['--data-dir', dir, '--log-level', 'error', '--logger', 'zap'],
    ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
    ...[
      '--listen-peer-urls',
      peer,
      '--initial-advertise-peer-urls',
      peer,
      '--initial-cluster',
      `default=${peer}`,
    ],
  ]
  const child = spawn('etcd', args, { stdio: 'ignore' })
  const isHealthy = () => spawnSync('etcdctl', ['--endpoints', endpoint, 'endpoint', 'health']).status === 0
  while (!isHealthy()) {
    if (child.exitCode !== null) throw new Error(`etcd exited with ${child.exitCode}`)
    await sleep(100)
  }
  return async () => {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    rmSync(dir, { recursive: true, force: true })
  }
}
