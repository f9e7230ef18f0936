import { readFileSync } from 'node:fs'
import { messageOf } from '@podwire/api'
import type { Backend, WireguardMode } from '@podwire/cluster'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { command, type Does } from '../../command.ts'
import { errors } from '../../errors.ts'
import type { GlobalFlags } from '../../flags.ts'
import { print } from '../../output.ts'
import { type EtcdFlags, withEtcd, withEtcdFlags } from './etcd.ts'

interface BackendFlags {
  readonly vni?: number
  readonly port?: number
  readonly portV6?: number
  readonly directRouting?: boolean
  readonly mode?: WireguardMode
  readonly keepalive?: number
  readonly pskFile?: string
}

interface NetworkFlags {
  readonly network?: string
  readonly ipv6?: string
  readonly subnetLength?: number
  readonly ipv6SubnetLength?: number
}

interface InitFlags extends EtcdFlags, BackendFlags, NetworkFlags {
  readonly backend: Backend['type']
  readonly force?: boolean
}

export const initCommand = (does: Does): Command =>
  withEtcdFlags(
    command(
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
      .option('--vni <number>', 'the vxlan network (default: 1)', parseNumber)
      .option('--port <port>', 'the UDP port (default: of vxlan 8472, of wireguard 51820)', parseNumber)
      .option('--direct-routing', 'no vxlan between nodes that share a link')
      .option('--port-v6 <port>', 'the UDP port of wireguard for IPv6 (default: 51821)', parseNumber)
      .addOption(
        new Option(
          '--mode <mode>',
          "wireguard: each family by its own addresses, or all by one family's (default: separate)",
        ).choices(['separate', 'auto', 'ipv4', 'ipv6']),
      )
      .option(
        '--keepalive <seconds>',
        'how often wireguard keeps a way open; 0: not (default: 0)',
        parseNumber,
      )
      .option('--psk-file <file>', 'wireguard: a secret that all nodes share besides, as wg genpsk prints it')
      .option('--force', 'replace another network; nodes take it when they are started again')
      .action(does(initialise)),
  )

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
  backend: type,
  force = false,
  ...flags
}: GlobalFlags & InitFlags): Promise<void> {
  mustHaveNetwork({ network, ipv6, subnetLength, ipv6SubnetLength })
  mustBeOf(type, flags)
  const { writeNetwork } = await import('@podwire/cluster')
  const backend = await backendOf(type, flags)
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

function mustHaveNetwork(flags: { [flag in keyof NetworkFlags]: NetworkFlags[flag] | undefined }): void {
  const { network, ipv6, subnetLength, ipv6SubnetLength } = flags
  if (network === undefined && ipv6 === undefined)
    throw errors.USAGE({
      what: 'podwire cluster init',
      value: '',
      expected: '--network CIDR, --ipv6 CIDR, or both',
    })
  if (network === undefined && subnetLength !== undefined)
    throw errors.FLAG_WITHOUT_USE({ flag: '--subnet-length', of: '--network CIDR', is: '--ipv6 alone' })
  if (ipv6 === undefined && ipv6SubnetLength !== undefined)
    throw errors.FLAG_WITHOUT_USE({ flag: '--ipv6-subnet-length', of: '--ipv6 CIDR', is: '--network alone' })
}

/** Which flags say something of which backends. */
const flagsOfBackends: readonly [keyof BackendFlags, string, readonly Backend['type'][]][] = [
  ['vni', '--vni', ['vxlan']],
  ['directRouting', '--direct-routing', ['vxlan']],
  ['port', '--port', ['vxlan', 'wireguard']],
  ['portV6', '--port-v6', ['wireguard']],
  ['mode', '--mode', ['wireguard']],
  ['keepalive', '--keepalive', ['wireguard']],
  ['pskFile', '--psk-file', ['wireguard']],
]

/** Who gives a secret and forgets --backend wireguard has a network that is not encrypted. */
function mustBeOf(type: Backend['type'], flags: BackendFlags): void {
  for (const [key, flag, backends] of flagsOfBackends)
    if (flags[key] !== undefined && !backends.includes(type))
      throw errors.FLAG_WITHOUT_USE({
        flag,
        of: backends.map((one) => `--backend ${one}`).join(' or '),
        is: `--backend ${type}`,
      })
}

async function backendOf(type: Backend['type'], flags: BackendFlags): Promise<Backend> {
  const { vxlanDefaults, wireguardDefaults } = await import('@podwire/cluster')
  const { vni, port, portV6, directRouting, mode, keepalive, pskFile } = flags
  if (type === 'host-gw') return { type }
  if (type === 'vxlan')
    return {
      type,
      vni: vni ?? vxlanDefaults.vni,
      port: port ?? vxlanDefaults.port,
      directRouting: directRouting ?? vxlanDefaults.directRouting,
    }
  return {
    type,
    port: port ?? wireguardDefaults.port,
    portV6: portV6 ?? wireguardDefaults.portV6,
    mode: mode ?? wireguardDefaults.mode,
    keepalive: keepalive ?? wireguardDefaults.keepalive,
    ...(pskFile === undefined ? {} : { presharedKey: readKey(pskFile) }),
  }
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
