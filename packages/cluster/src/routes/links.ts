import { existsSync } from 'node:fs'
import { release } from 'node:os'
import { CLUSTER_LINK_ALIAS, errnoOf } from '@podwire/api'
import { addresses, links, type Netlink, setTransmitsWithoutChecksum } from '@podwire/netlink'
import { errors } from '../errors.ts'
import { type ClusterLink, mustBeMadeAnew, newClusterLink, podAddressesOf } from './cluster-link.ts'
import type { KernelState } from './kernel-state.ts'

/**
 * Makes the links that are wanted, and deletes those of ours that are not. What it did, each in a phrase: after anything, the kernel
 * is to be read again.
 * @throws PodwireError `LINK_IN_THE_WAY`, `WIREGUARD_UNAVAILABLE`
 */
export async function ensureLinks(
  netlink: Netlink,
  wanted: readonly ClusterLink[],
  is: KernelState,
): Promise<readonly string[]> {
  const done: string[] = []
  const stays = new Set(wanted.map(({ name }) => name))
  for (const [name, { index }] of is.links) {
    const asked = wanted.find((link) => link.name === name)
    if (asked && !mustBeMadeAnew(is.links.get(name)!, asked)) continue // a key of the map
    await ignoringGone(netlink.run(links.del(index)))
    done.push(`deleted link ${name}`)
    if (asked) stays.delete(name)
  }
  for (const link of wanted) {
    const there = stays.has(link.name) ? is.links.get(link.name) : undefined
    if (!there) {
      await make(netlink, link)
      done.push(`made link ${link.name}`)
      continue
    }
    if (!there.up || there.mtu !== link.mtu) {
      await netlink.run(links.set(there.index, { up: true, mtu: link.mtu }))
      done.push(`set link ${link.name}`)
    }
    const given = is.addresses.get(there.index) ?? []
    const addressed = podAddressesOf(link)
    for (const address of given.filter((one) => !addressed.includes(one))) {
      await ignoringGone(netlink.run(addresses.del({ dev: there.index, address })))
      done.push(`deleted address ${address}`)
    }
    for (const address of addressed.filter((one) => !given.includes(one))) {
      await netlink.run(giveAddress(link.name, address))
      done.push(`gave link ${link.name} ${address}`)
    }
  }
  return done
}

async function make(netlink: Netlink, link: ClusterLink): Promise<void> {
  try {
    // One message after the other by one call, which no signal parts: a link of this name is never without its alias for long.
    await netlink.batch([
      links.add(newClusterLink(link)),
      links.set(link.name, { alias: CLUSTER_LINK_ALIAS }),
    ])
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') throw errors.LINK_IN_THE_WAY({ name: link.name }, error)
    if (errnoOf(error) === 'EOPNOTSUPP' && newClusterLink(link).kind === 'wireguard')
      throw errors.WIREGUARD_UNAVAILABLE({ kernel: release() }, error)
    throw error
  }
  if (hasIpv6()) {
    // Without an address of its own it asks for no router.
    await netlink.run(links.set(link.name, { addrGenMode: 'none' }))
  }
  if ('vni' in link && miscomputesChecksums(release())) setTransmitsWithoutChecksum(link.name, false)
  await netlink.run(links.set(link.name, { up: true }))
  for (const address of podAddressesOf(link)) await netlink.run(giveAddress(link.name, address))
}

const giveAddress = (dev: string, address: string) =>
  addresses.replace({ dev, address, noDad: address.includes(':'), noPrefixRoute: true })

async function ignoringGone(request: Promise<void>): Promise<void> {
  await request.catch((error: unknown) => {
    if (!['ENODEV', 'EADDRNOTAVAIL'].includes(errnoOf(error) ?? '')) throw error
  })
}

const hasIpv6 = () => existsSync('/proc/net/if_inet6')

/** Whether a kernel of this release gets checksums of packets in vxlan wrong, where somebody translates them on their way. */
export function miscomputesChecksums(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10))
  return major < 5 || (major === 5 && minor < 7)
}
