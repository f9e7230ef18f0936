import type { LeaseEntry } from '@podwire/cluster'
import type { Command } from 'commander'
import { command, type Does } from '../../command.ts'
import type { GlobalFlags, JsonFlag } from '../../flags.ts'
import { print, printJson, printTable } from '../../output.ts'
import { type EtcdFlags, withEtcd, withEtcdFlags } from './etcd.ts'

export const leasesCommand = (does: Does): Command =>
  withEtcdFlags(
    command('leases', 'list what is leased and reserved', 'podwire cluster leases')
      .option('--json', 'print JSON')
      .action(does(listAll)),
  )

export const releaseCommand = (does: Does): Command =>
  withEtcdFlags(
    command(
      'release',
      'end the lease of a node that is no more, or a reservation',
      'podwire cluster release node-7 --force',
    )
      .argument('<node>', 'its name, or its pod CIDR')
      .option('--force', 'also one whose end has not come, or a reservation that a node uses')
      .action(does(releaseOne)),
  )

export const reserveCommand = (does: Does): Command =>
  withEtcdFlags(
    command(
      'reserve',
      'keep a pod CIDR from being leased, or for one node',
      'podwire cluster reserve 10.244.200.0/24 --node node-7',
    )
      .argument('<cidr>', 'one CIDR, or one of each family separated by a comma')
      .option('--node <name>', 'the node that is to have it')
      .action(does(reserveOne)),
  )

async function listAll({ json = false, ...flags }: GlobalFlags & JsonFlag & EtcdFlags): Promise<void> {
  const { listLeases, podCIDROf } = await import('@podwire/cluster')
  const { leases, below } = await withEtcd(flags, async (etcd, keys) => ({
    leases: await listLeases(etcd, keys),
    below: keys.subnets,
  }))
  const rows = leases.map((entry) => ({
    podCIDR: podCIDROf(entry.subnets),
    state: stateOf(entry),
    node: entry.node?.nodeName,
    publicIP: entry.node?.publicIP,
    publicIPv6: entry.node?.publicIPv6,
    backend: entry.node?.backendType,
  }))
  if (json) {
    printJson(rows)
    return
  }
  if (rows.length === 0) {
    print(`nothing is leased or reserved: etcd has no key below ${below}`)
    return
  }
  printTable([
    ['POD CIDR', 'STATE', 'NODE', 'ADDRESS', 'BACKEND'],
    ...rows.map(({ podCIDR, state, node = '-', publicIP, publicIPv6, backend }) => [
      podCIDR,
      state,
      node,
      [publicIP, publicIPv6].filter((one) => one !== undefined).join() || '-',
      backend || '-',
    ]),
  ])
}

const stateOf = ({ node, lease }: LeaseEntry) =>
  !node ? 'unreadable' : lease === undefined ? 'reserved' : 'leased'

async function releaseOne(
  wanted: string,
  { force = false, ...flags }: GlobalFlags & EtcdFlags & { force?: boolean },
): Promise<void> {
  const { describeOwner, podCIDROf, releaseLease } = await import('@podwire/cluster')
  const entry = await withEtcd(flags, (etcd, keys) => releaseLease(etcd, keys, wanted, { force }))
  print(`released ${podCIDROf(entry.subnets)}, which was ${describeOwner(entry)}`)
}

async function reserveOne(
  podCIDR: string,
  { node, ...flags }: GlobalFlags & EtcdFlags & { node?: string },
): Promise<void> {
  const { podCIDROf, readNetwork, reserveLease } = await import('@podwire/cluster')
  const subnets = await withEtcd(flags, async (etcd, keys) => {
    const { network } = await readNetwork(etcd, keys)
    return reserveLease(etcd, keys, network, { podCIDR, nodeName: node })
  })
  print(`reserved ${podCIDROf(subnets)}${node === undefined ? '' : ` for node ${node}`}`)
}
