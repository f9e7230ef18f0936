#!/usr/bin/env node
// A CNI plugin that gives a sandbox addresses on a link that leads nowhere, where an agent inside can serve the others
// inside: 169.254.169.254 for metadata, say. It belongs behind the plugin that makes the sandbox's interface.
import { isIP } from 'node:net'
import {
  type AttachmentRequest,
  CniCode,
  cniMain,
  type NetworkRequest,
  pluginError,
  readKey,
} from '@podwire/libcni/plugin'
import { addresses, type Link, links, type Netlink, openNetlink } from '@podwire/netlink'

// The spec leaves codes from 100 on to plugins.
const notAsAdded = 100

await cniMain({
  about: 'CNI plugin service-address v1.0.0',
  versions: ['0.4.0', '1.0.0', '1.1.0'],

  add(request) {
    const [dev, cidrs] = [linkName(request), serviceAddresses(request)]
    using netlink = openNetlink({ netns: request.netns })
    const { address: mac } = addLink(netlink, dev, cidrs, owner(request))
    const { interfaces = [], ...rest } = request.prevResult ?? {}
    // Without the addresses: the result's are the sandbox's to be reached at, and the bridge plugin's CHECK looks for
    // every one of them on eth0.
    return {
      ...rest,
      interfaces: [...interfaces, { name: dev, sandbox: request.netns, ...(mac && { mac }) }],
    }
  },

  check(request) {
    const [dev, cidrs] = [linkName(request), serviceAddresses(request)]
    using netlink = openNetlink({ netns: request.netns })
    const link = ownLink(netlink, dev, owner(request))
    if (!link?.up) throw pluginError(notAsAdded, `link ${dev} is ${link ? 'down' : 'missing'}`)
    const there = netlink.runSync(addresses.list({ dev: link.index })).map(({ address }) => address)
    const missing = cidrs.filter((cidr) => !there.includes(cidr))
    if (missing.length > 0) throw pluginError(notAsAdded, `link ${dev} has lost ${missing.join(', ')}`)
  },

  async del(request) {
    const netlink = openNetlinkIfThere(request.netns)
    if (!netlink) return
    using _ = netlink
    const link = ownLink(netlink, linkName(request), owner(request))
    if (link) await netlink.run(links.del(link.index))
  },
})

function linkName({ config }: NetworkRequest): string {
  const link = readKey(config, 'link') ?? 'service0'
  if (typeof link === 'string') return link
  throw pluginError(CniCode.invalidConfig, 'link is not a string', `it is ${JSON.stringify(link)}`)
}

function serviceAddresses({ config }: NetworkRequest): string[] {
  const cidrs = readKey(config, 'addresses')
  if (Array.isArray(cidrs) && cidrs.length > 0 && cidrs.every(isCidr)) return cidrs
  throw pluginError(
    CniCode.invalidConfig,
    'addresses is not a list of addresses with prefix length',
    `it is ${JSON.stringify(cidrs)}, expected for instance ["169.254.169.254/32"]`,
  )
}

function isCidr(value: unknown): value is string {
  if (typeof value !== 'string') return false
  const [address = '', length = '', ...rest] = value.split('/')
  return isIP(address) !== 0 && /^\d{1,3}$/.test(length) && rest.length === 0
}

// The link's alias, so that DEL takes no link that another attachment, or somebody else, has made under this name.
function owner({ containerId, name, ifName }: AttachmentRequest): string {
  return `${name}/${containerId}/${ifName}`
}

function addLink(netlink: Netlink, name: string, cidrs: readonly string[], alias: string): Link {
  // Without ports it is as good as a dummy link, and kernels that have no dummy have bridges.
  netlink.runSync(links.add({ kind: 'bridge', name }))
  try {
    netlink.batchSync([
      links.set(name, { alias, up: true }),
      ...cidrs.map((address) => addresses.add({ dev: name, address, noDad: true })),
    ])
    return netlink.runSync(links.get(name))
  } catch (error) {
    netlink.runSync(links.del(name))
    throw error
  }
}

function ownLink(netlink: Netlink, name: string, alias: string): Link | undefined {
  return netlink.runSync(links.list()).find((link) => link.name === name && link.alias === alias)
}

// With its namespace the link has gone too.
function openNetlinkIfThere(netns: string): Netlink | undefined {
  if (netns === '') return undefined
  try {
    return openNetlink({ netns })
  } catch (error) {
    if (error instanceof Error && 'code' in error && ['ENOENT', 'ERR_NOT_NETNS'].includes(String(error.code)))
      return undefined
    throw error
  }
}
