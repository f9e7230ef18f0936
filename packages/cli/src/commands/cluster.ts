import { readFileSync } from 'node:fs'
import { messageOf } from '@podwire/api'
import type { Backend, Etcd, Keys, LeaseEntry, WireguardMode } from '@podwire/cluster'
import { InvalidArgumentError, Option } from 'commander'
import { command, commandGroup, type DefineCommand } from '../command.ts'
import { loadConfiguration } from '../configuration.ts'
import { errors } from '../errors.ts'
import { collect, type GlobalFlags, type JsonFlag } from '../flags.ts'
import { print, printJson, printNote, printTable } from '../output.ts'

/** Where etcd is, for who has no configuration that says so. */
interface EtcdFlags {
  readonly endpoint?: string[]
  readonly prefix?: string
}

interface BackendFlags {
  readonly backend: Backend['type']
  readonly vni: number
  readonly port?: number
  readonly portV6: number
  readonly directRouting?: boolean
  readonly mode: WireguardMode
  readonly keepalive: number
  readonly pskFile?: string
}

interface InitFlags extends EtcdFlags, BackendFlags {
  readonly network?: string
  readonly ipv6?: string
  readonly subnetLength?: number
  readonly ipv6SubnetLength?: number
  readonly force?: boolean
}

const define: DefineCommand = (does) => {
  const init = command(
    'init',
    'write the network that all nodes share into etcd',
    'podwire cluster init --network 10.244.0.0/16 --ipv6 fd00:244::/48',
  )
    .option('--network <cidr>', 'the IPv4 network of all pods')
    .option('--ipv6 <cidr>', 'the IPv6 network of all pods')
    .option('--subnet-length <bits>', "of each node's IPv4 pod CIDR (default: 24)", parseNumber)
    .option('--ipv6-subnet-length <bits>', "of each node's IPv6 pod CIDR (default: 64)", parseNumber)
    .addOption(
      new Option('--backend <type>', 'how packets come from node to node; host-gw: all nodes share a link')
        .choices(['vxlan', 'host-gw', 'wireguard'])
        .default('vxlan'),
    )
    .option('--vni <number>', 'the vxlan network', parseNumber, 1)
    .option('--port <port>', 'the UDP port (default: 8472; of wireguard 51820)', parseNumber)
    .option('--direct-routing', 'no vxlan between nodes that share a link')
    .option('--port-v6 <port>', 'the UDP port of wireguard for IPv6', parseNumber, 51_821)
    .addOption(
      new Option('--mode <mode>', "wireguard: each family by its own addresses, or all by one family's")
        .choices(['separate', 'auto', 'ipv4', 'ipv6'])
        .default('separate'),
    )
    .option('--keepalive <seconds>', 'how often wireguard keeps a way open; 0: not', parseNumber, 0)
    .option('--psk-file <file>', 'a secret that all nodes share besides, as wg genpsk prints it')
    .option('--force', 'replace another network; nodes take it when they are started again')
    .action(does(initialise))
  const status = command('status', 'show what this node has of the cluster', 'podwire cluster status')
    .option('--json', 'print JSON')
    .action(does(showStatus))
  const leases = command('leases', 'list what is leased and reserved', 'podwire cluster leases')
    .option('--json', 'print JSON')
    .action(does(listAll))
  const release = command(
    'release',
    'end the lease of a node that is no more, or a reservation',
    'podwire cluster release node-7',
  )
    .argument('<node>', 'its name, or its pod CIDR')
    .action(does(releaseOne))
  const reserve = command(
    'reserve',
    'keep a pod CIDR from being leased, or for one node',
    'podwire cluster reserve 10.244.200.0/24 --node node-7',
  )
    .argument('<cidr>', 'one CIDR, or one of each family separated by a comma')
    .option('--node <name>', 'the node that is to have it')
    .action(does(reserveOne))
  for (const one of [init, leases, release, reserve])
    one
      .option(
        '--endpoint <url>',
        'a client URL of etcd; may be repeated (default: cluster.etcd of the configuration)',
        collect(parseEndpoint),
      )
      .option('--prefix <prefix>', "what the network's keys begin with")
  return commandGroup('cluster', 'a network of many nodes: pod CIDRs leased from etcd', [
    init,
    status,
    leases,
    release,
    reserve,
  ])
}
export default define

function parseEndpoint(text: string): string {
  if (/^https?:\/\/[^/]+\/?$/.test(text) && URL.canParse(text)) return text
  throw errors.USAGE({ what: '--endpoint', value: text, expected: 'http://HOST:PORT or https://HOST:PORT' })
}

function parseNumber(text: string): number {
  const number = Number(text)
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('expected a number')
  return number
}

async function initialise({
  network,
  ipv6,
  subnetLength,
  ipv6SubnetLength,
  force = false,
  ...flags
}: GlobalFlags & InitFlags): Promise<void> {
  if (network === undefined && ipv6 === undefined)
    throw errors.USAGE({
      what: 'podwire cluster init',
      value: '',
      expected: '--network CIDR, --ipv6 CIDR, or both',
    })
  const { writeNetwork } = await import('@podwire/cluster')
  const backend = backendOf(flags)
  await withEtcd(flags, async (etcd, keys) => {
    await writeNetwork(
      etcd,
      keys,
      {
        ...(network === undefined ? {} : { network }),
        ...(ipv6 === undefined ? {} : { ipv6Network: ipv6 }),
        ...(subnetLength === undefined ? {} : { subnetLength }),
        ...(ipv6SubnetLength === undefined ? {} : { ipv6SubnetLength }),
        backend,
      },
      { force },
    )
    print(`${[network, ipv6].filter((one) => one !== undefined).join(', ')} by ${backend.type}`)
  })
}

function backendOf(flags: BackendFlags): Backend {
  const { backend: type, vni, port, portV6, directRouting = false, mode, keepalive, pskFile } = flags
  if (type === 'host-gw') return { type }
  if (type === 'vxlan') return { type, vni, port: port ?? 8472, directRouting }
  const presharedKey = pskFile === undefined ? {} : { presharedKey: readKey(pskFile) }
  return { type, port: port ?? 51_820, portV6, mode, keepalive, ...presharedKey }
}

/** Of a file, as arguments of a command are for everybody to see. */
function readKey(file: string): string {
  let key: string
  try {
    key = readFileSync(file, 'utf8').trim()
  } catch (error) {
    const expected = `a file that can be read: ${messageOf(error)}`
    throw errors.USAGE({ what: '--psk-file', value: file, expected })
  }
  // In the network that would be none.
  if (key === '') throw errors.USAGE({ what: '--psk-file', value: file, expected: 'a file that holds a key' })
  return key
}

/** By what the daemon keeps of it, so that it answers while etcd is away. Exits with 1 while this node has no pod CIDR. */
async function showStatus({ json = false, ...flags }: GlobalFlags & JsonFlag): Promise<number> {
  const { config } = await loadConfiguration(flags)
  const { bootId, bootTime, readMemberRecord } = await import('@podwire/cluster')
  const record = readMemberRecord(config.stateDir)
  if (!record || record.bootId !== bootId()) {
    if (json) printJson({ state: 'none' })
    else if (config.cluster && !config.cluster.etcd)
      printNote('nothing is leased here: the configuration names no etcd. See podwire status')
    else {
      const next = config.cluster
        ? 'start one with podwire daemon'
        : 'name etcd in the configuration, as cluster.etcd.endpoints, and start podwire daemon'
      printNote(`no daemon of ${config.stateDir} has joined a cluster since the machine was started: ${next}`)
    }
    return 1
  }
  const { state, reason, nodeName, publicIP, publicIPv6, lease } = record
  const leftMs = lease?.endsAt === undefined ? undefined : Math.max(0, lease.endsAt - bootTime())
  const isJoined = state === 'joined' && leftMs !== 0
  const podCIDR = isJoined ? lease?.podCIDR : undefined
  if (json) {
    printJson({
      state: isJoined ? state : state === 'joined' ? 'ended' : state,
      nodeName,
      publicIP,
      publicIPv6,
      podCIDR,
      endsInMs: isJoined ? leftMs : undefined,
      reason,
    })
  } else {
    const address = publicIP ?? publicIPv6
    const where = address === undefined ? '' : ` at ${address}`
    const until =
      leftMs === undefined ? 'reserved for it' : `for ${duration(leftMs)} more, unless it is renewed`
    print(
      isJoined
        ? `node ${nodeName}${where} has ${podCIDR}, ${until}`
        : `node ${nodeName}${where} has no pod CIDR`,
    )
    if (reason !== undefined) printNote(reason)
  }
  return isJoined ? 0 : 1
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1_000)
  if (seconds < 120) return `${seconds} s`
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`
}

async function listAll({ json = false, ...flags }: GlobalFlags & JsonFlag & EtcdFlags): Promise<void> {
  const { listLeases, podCIDROf } = await import('@podwire/cluster')
  const leases = await withEtcd(flags, listLeases)
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

async function releaseOne(wanted: string, flags: GlobalFlags & EtcdFlags): Promise<void> {
  const { describeOwner, podCIDROf, releaseLease } = await import('@podwire/cluster')
  const entry = await withEtcd(flags, (etcd, keys) => releaseLease(etcd, keys, wanted))
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

async function withEtcd<T>(
  { endpoint, prefix, ...flags }: GlobalFlags & EtcdFlags,
  use: (etcd: Etcd, keys: Keys) => Promise<T>,
): Promise<T> {
  const { DEFAULT_PREFIX, keysOf, openEtcd, readEtcdOptions } = await import('@podwire/cluster')
  const { cluster } = (await loadConfiguration(flags)).config
  const endpoints = endpoint ?? cluster?.etcd?.endpoints
  if (!endpoints) {
    const expected = '--endpoint URL, or cluster.etcd in the configuration'
    throw errors.USAGE({ what: 'podwire cluster', value: '', expected })
  }
  const etcd = openEtcd(readEtcdOptions({ ...cluster?.etcd, endpoints }))
  try {
    return await use(etcd, keysOf(prefix ?? cluster?.etcd?.prefix ?? DEFAULT_PREFIX))
  } finally {
    etcd.close()
  }
}
