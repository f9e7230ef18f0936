import { isIPv4 } from 'node:net'
import { DEFAULT_INTERFACE_NAME, type PodInterface, type PodNetworkStatus } from '@podwire/api'
import { type AnyResult, convertResult } from '@podwire/libcni'

/** An attachment and what its plugins said. */
export interface AttachmentResult {
  readonly network: string
  readonly ifName: string
  readonly result: AnyResult
}

/** The status of a pod from its attachments; undefined while none of eth0's plugins has told an address. */
export function podStatus(
  attachments: readonly AttachmentResult[],
  eth0Ips: readonly string[] = [],
): PodNetworkStatus | undefined {
  const interfaces = attachments.filter(({ ifName }) => ifName !== 'lo').map(podInterface)
  const known = interfaces.find(({ name }) => name === DEFAULT_INTERFACE_NAME)?.ips ?? []
  const ips = eth0Ips.length > 0 ? eth0Ips : known
  const [ip] = ips
  return ip === undefined ? undefined : { ip, ips, interfaces }
}

/** The addresses of a result as CIDRs, those of interfaces that stay on the host left out. */
export function addressesOf(result: AnyResult): string[] {
  const { ips = [], interfaces = [] } = convertResult(result, '1.1.0')
  return ips
    .filter((ip) => ip.interface === undefined || interfaces[ip.interface]?.sandbox)
    .map(({ address }) => address)
}

function podInterface({ network, ifName, result }: AttachmentResult): PodInterface {
  const { interfaces = [], ips = [], routes = [] } = convertResult(result, '1.1.0')
  const own = interfaces.find(({ name, sandbox }) => name === ifName && sandbox)
  // Plugins tell of a bridge first, and then of the end of the pair that is a port of it.
  const host = interfaces.findLast(({ sandbox }) => !sandbox)
  const inside = ips.filter((ip) => ip.interface === undefined || interfaces[ip.interface]?.sandbox)
  return {
    name: ifName,
    network,
    ips: ipv4First(addressesOf(result)),
    ...(own?.mac ? { mac: own.mac } : {}),
    ...(own?.mtu ? { mtu: own.mtu } : {}),
    addresses: inside.map(({ address, gateway }) => ({ address, ...(gateway ? { gateway } : {}) })),
    ...(routes.length > 0
      ? { routes: routes.map(({ dst, gw }) => ({ destination: dst, ...(gw ? { gateway: gw } : {}) })) }
      : {}),
    ...(host ? { host: { name: host.name, ...(host.mac ? { mac: host.mac } : {}) } } : {}),
  }
}

function ipv4First(cidrs: readonly string[]): string[] {
  const ips = cidrs.map((cidr) => cidr.split('/')[0] ?? '')
  return [...ips.filter((ip) => isIPv4(ip)), ...ips.filter((ip) => !isIPv4(ip))]
}
