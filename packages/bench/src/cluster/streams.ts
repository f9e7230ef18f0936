import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectNetworkHost, type RemoteNetworkHost } from '@podwire/client'
import { keysOf, openEtcd, vxlanDefaults, writeNetwork } from '@podwire/cluster'
import { withNetns } from '@podwire/netlink'
import { type Figure, figure, median } from '../figure.ts'
import { endDaemon, installedPodwire } from '../installed.ts'
import { podOf } from '../kubenet-host.ts'
import { streamTo } from '../tcp.ts'
import { endpoint, machineNetns, sh } from './machines.ts'

const rounds = 5
const numbers = [1, 2]

/** Where a stream ends, and where it begins. */
interface Way {
  readonly address: string
  readonly netns: string
  readonly from: string
}

/** One TCP stream from a pod on one machine to a pod on the other, by each backend; beside what the machines do by hand. */
export async function streamsBench(): Promise<Figure[]> {
  if (spawnSync('iperf3', ['--version']).status !== 0) {
    console.error('bench: the streams between nodes are skipped; they need: apt-get install iperf3')
    return []
  }
  for (const number of numbers)
    sh(`ip -n bench-node-${number} link add vx0 type vxlan id 99 dstport 4789 local 192.0.2.${number} remote 192.0.2.${3 - number} dev eth0
      ip -n bench-node-${number} addr add 198.51.100.${number}/24 dev vx0
      ip -n bench-node-${number} link set vx0 up`)
  const between = (network: string): Way => ({
    address: `${network}.2`,
    netns: machineNetns(2),
    from: machineNetns(1),
  })
  const byHand = makePods()
  try {
    return [
      ...(await beside('host-gw', [
        { way: between('192.0.2'), what: 'the link between the nodes', goal: '≥ 0.95' },
        { way: byHand.way, what: 'the same of veth pairs and routes by hand', goal: '≥ 0.95' },
      ])),
      ...(await beside('vxlan', [
        {
          way: between('198.51.100'),
          what: 'between the nodes by a vxlan link made by hand',
          goal: '≥ 0.9',
        },
      ])),
    ]
  } finally {
    byHand.remove()
  }
}

/** What stands for pods, one on each machine: no rules, no connection tracking, nobody who looks who sends. */
function makePods() {
  for (const number of numbers)
    sh(`ip netns add bench-hand-${number}
      ip -n bench-node-${number} link add hand type veth peer name eth0 netns bench-hand-${number}
      ip -n bench-node-${number} link set hand up
      ip -n bench-node-${number} addr add 169.254.9.1/32 dev hand
      ip -n bench-node-${number} route add 10.9.${number}.2/32 dev hand
      ip -n bench-node-${number} route add 10.9.${3 - number}.0/24 via 192.0.2.${3 - number}
      ip netns exec bench-node-${number} sysctl -qw net.ipv4.ip_forward=1
      ip -n bench-hand-${number} addr add 10.9.${number}.2/32 dev eth0
      ip -n bench-hand-${number} link set eth0 up
      ip -n bench-hand-${number} route add 169.254.9.1 dev eth0
      ip -n bench-hand-${number} route add default via 169.254.9.1`)
  return {
    way: { address: '10.9.2.2', netns: '/run/netns/bench-hand-2', from: '/run/netns/bench-hand-1' },
    remove: () => numbers.forEach((number) => void sh(`ip netns del bench-hand-${number}`)),
  }
}

interface Reference {
  readonly way: Way
  readonly what: string
  readonly goal: string
}

async function beside(backend: 'host-gw' | 'vxlan', references: readonly Reference[]): Promise<Figure[]> {
  const dir = mkdtempSync('/run/podwire-bench-')
  const etcd = openEtcd({ endpoints: [endpoint] })
  await writeNetwork(etcd, keysOf(`/bench-${backend}`), {
    network: '10.244.0.0/16',
    backend: backend === 'vxlan' ? { type: backend, ...vxlanDefaults } : { type: backend },
  })
  etcd.close()
  const daemons = await Promise.all(numbers.map((number) => startDaemon(dir, number, backend)))
  try {
    const [client, server] = await Promise.all(
      daemons.map(({ host }, at) => host.setUpPod(podOf(`${backend}-${at}`))),
    )
    const ours: Way = {
      address: server?.status?.ip ?? '',
      netns: server?.pod.netns ?? '',
      from: client?.pod.netns ?? '',
    }
    const rateOf = ({ address, netns, from }: Way) => streamTo(address, netns, from)
    const rates: number[] = []
    const others: number[][] = references.map(() => [])
    for (let round = 0; round < rounds; round++) {
      for (const [at, { way }] of references.entries()) others[at]?.push(await rateOf(way))
      rates.push(await rateOf(ours))
    }
    return references.map(({ what, goal }, at) =>
      figure({
        bench: 'cluster',
        row: `one TCP stream between pods of two nodes, ${backend}; ${what}`,
        unit: 'Gbit/s',
        ours: median(rates),
        reference: median(others[at] ?? []),
        goal,
      }),
    )
  } finally {
    for (const { host, child } of daemons) {
      for (const { pod } of await host.pods()) await host.tearDownPod(pod)
      await host.close()
      await endDaemon(child)
    }
    for (const number of numbers)
      sh(
        `ip -n bench-node-${number} route flush proto 80; ip -n bench-node-${number} link del podwire.1 2> /dev/null || true`,
      )
    rmSync(dir, { recursive: true, force: true })
  }
}

async function startDaemon(dir: string, number: number, backend: 'host-gw' | 'vxlan') {
  const stateDir = `${dir}/node-${number}`
  const file = `${stateDir}.config.json`
  const cluster = {
    etcd: { endpoints: [endpoint], prefix: `/bench-${backend}` },
    nodeName: `node-${number}`,
    interface: 'eth0',
  }
  writeFileSync(file, JSON.stringify({ networkPlugin: 'kubenet', cluster }))
  const args = [installedPodwire().podwire, 'daemon', '--config', file, '--state-dir', stateDir]
  const child = withNetns(machineNetns(number), () => spawn(process.execPath, args, { stdio: 'ignore' }))
  let host: RemoteNetworkHost | undefined
  while (!host) {
    if (child.exitCode !== null) throw new Error(`podwire daemon exited with ${child.exitCode}`)
    await sleep(20)
    host = await connectNetworkHost({ socket: `${stateDir}/podwire.sock` }).catch(() => undefined)
  }
  return { host, child }
}
