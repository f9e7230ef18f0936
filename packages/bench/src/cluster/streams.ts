import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectNetworkHost, type RemoteNetworkHost } from '@podwire/client'
import { withNetns } from '@podwire/netlink'
import { type Figure, figure, median } from '../figure.ts'
import { endDaemon, installedPodwire } from '../installed.ts'
import { podOf } from '../kubenet-host.ts'
import { streamTo } from '../tcp.ts'
import { machineNetns, sh } from './machines.ts'

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
  return [
    await beside('host-gw', between('192.0.2'), 'the link between the nodes', '≥ 0.95'),
    await beside('vxlan', between('198.51.100'), 'between the nodes by a vxlan link made by hand', '≥ 0.9'),
  ]
}

async function beside(
  backend: 'host-gw' | 'vxlan',
  reference: Way,
  what: string,
  goal: string,
): Promise<Figure> {
  const dir = mkdtempSync('/run/podwire-bench-')
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
    const rates = { ours: [] as number[], reference: [] as number[] }
    for (let round = 0; round < rounds; round++) {
      for (const [key, { address, netns, from }] of Object.entries({ reference, ours }))
        rates[key as keyof typeof rates].push(await streamTo(address, netns, from)) // the keys above
    }
    return figure({
      bench: 'cluster',
      row: `one TCP stream between pods of two nodes, ${backend}; ${what}`,
      unit: 'Gbit/s',
      ours: median(rates.ours),
      reference: median(rates.reference),
      goal,
    })
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
  const nodes = numbers.map((one) => ({
    node: `node-${one}`,
    podCIDR: `10.244.${one}.0/24`,
    publicIP: `192.0.2.${one}`,
  }))
  const type = backend === 'vxlan' ? { type: backend, directRouting: false } : { type: backend }
  const cluster = { static: nodes, nodeName: `node-${number}`, interface: 'eth0', backend: type }
  writeFileSync(file, JSON.stringify({ networkPlugin: 'kubenet', cluster }))
  const args = [installedPodwire().podwire, 'daemon', '--config', file, '--state-dir', stateDir]
  const child = withNetns(machineNetns(number), () =>
    spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 2] }),
  )
  let host: RemoteNetworkHost | undefined
  while (!host) {
    if (child.exitCode !== null) throw new Error(`podwire daemon exited with ${child.exitCode}`)
    await sleep(20)
    host = await connectNetworkHost({ socket: `${stateDir}/podwire.sock` }).catch(() => undefined)
  }
  return { host, child }
}
