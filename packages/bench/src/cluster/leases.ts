import { mkdtempSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Etcd, joinCluster, keysOf, openEtcd, vxlanDefaults, writeNetwork } from '@podwire/cluster'
import { openNetlink, routes } from '@podwire/netlink'
import { type Figure, figure } from '../figure.ts'
import { endpoint } from './machines.ts'

const leases = 1_000
const prefix = '/bench-leases'
const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** A node that joins a thousand others, which are leases alone. */
export async function leasesBench(): Promise<Figure[]> {
  const dir = mkdtempSync('/run/podwire-bench-')
  const etcd = openEtcd({ endpoints: [endpoint] })
  await writeNetwork(etcd, keysOf(prefix), {
    network: '10.0.0.0/8',
    backend: { type: 'vxlan', ...vxlanDefaults },
  })
  const netlink = openNetlink()
  const countRoutes = async () =>
    (await netlink.run(routes.list())).filter(({ protocol }) => protocol === 80).length
  const join = (stateDir: string) =>
    joinCluster({
      etcd: { endpoints: [endpoint], prefix },
      nodeName: 'new',
      interface: 'lan',
      leaseTtl: 600,
      renewBefore: 300,
      stateDir,
      log: silent,
      onEvent: () => {},
    })
  try {
    // What code takes is there before.
    await (await join(`${dir}/first`)).stop({ release: true })
    await putLeases(etcd)
    const before = keptBytes()
    const began = performance.now()
    const cluster = await join(`${dir}/second`)
    while ((await countRoutes()) < leases) await sleep(2)
    const tookMs = performance.now() - began
    await sleep(1_000)
    const kept = keptBytes() - before
    await cluster.stop({ release: true })
    return [
      figure({
        bench: 'cluster',
        row: `a node joins ${leases} others: all their routes; the goal`,
        unit: 'ms',
        ours: tookMs,
        reference: 2_000,
        goal: '≤ 1',
      }),
      figure({
        bench: 'cluster',
        row: 'memory that it takes for them; the goal',
        unit: 'MB',
        ours: kept / 2 ** 20,
        reference: 20,
        goal: '≤ 1',
      }),
    ]
  } finally {
    etcd.close()
    netlink.close()
    rmSync(dir, { recursive: true, force: true })
  }
}

async function putLeases(etcd: Etcd): Promise<void> {
  const { id } = await etcd.grant(3_600)
  const mac = (n: number) =>
    `0a:00:00:00:${[n >> 8, n & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`
  const puts = Array.from({ length: leases }, (_, n) => ({
    put: `${prefix}/subnets/10.${100 + (n >> 8)}.${n & 255}.0-24`,
    value: JSON.stringify({
      PublicIP: `203.${n >> 8}.${n & 255}.1`,
      BackendType: 'vxlan',
      BackendData: { VNI: 1, VtepMAC: mac(n) },
      NodeName: `other-${n}`,
    }),
    lease: id,
  }))
  while (puts.length > 0) await etcd.transaction([], puts.splice(0, 100))
}

/** What is left when nothing is garbage. */
function keptBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
