import { createHash } from 'node:crypto'
import { ignoring, parseCIDR } from '@podwire/api'
import { addresses, links, openNetlink, routes } from '@podwire/netlink'
import { addressesOf } from './addresses.js'
import { name } from './name.js'

/**
 * How a pod is connected: the link's end on this node, and the pod's address without prefix length.
 *
 * @typedef {{ link: string, address: string }} Connection
 */

/**
 * What a sandbox is known by.
 *
 * @typedef {Pick<import('@podwire/api').PodRef, 'sandboxId'>} Sandbox
 */

/** @typedef {import('@podwire/netlink').Netlink} Netlink */

// The pod's end of the link.
const inside = 'eth0'

/**
 * The connection of a sandbox, by what the kernel has of it; undefined: none, or half of one.
 *
 * @param {Sandbox} sandbox
 * @returns {Promise<Connection | undefined>}
 */
export function connectionOf(sandbox) {
  return using(undefined, async (node) => {
    const link = linkName(sandbox)
    const found = await node.run(links.brief(link)).catch(ignoring('ENODEV'))
    if (!found) return undefined
    // A link without a route to the pod was never finished.
    const [route] = node.runSync(routes.list({ family: 'inet', dev: found.index }))
    return route && { link, address: withoutLength(route.destination) }
  })
}

/**
 * Makes a link, and gives the pod the first address that nobody has. What fails leaves nothing behind.
 *
 * @param {import('@podwire/api').Pod} pod
 * @param {{ podCIDR: string } & import('./options.js').Options} settings
 * @returns {Promise<Connection>}
 */
export async function connect(pod, settings) {
  try {
    return await using(undefined, (node) =>
      using(pod.netns, async (sandbox) => join(pod, node, sandbox, settings)),
    )
  } catch (error) {
    await disconnect(pod)
    throw error
  }
}

/**
 * @param {import('@podwire/api').Pod} pod
 * @param {Netlink} node
 * @param {Netlink} sandbox
 * @param {{ podCIDR: string } & import('./options.js').Options} settings
 */
function join({ sandboxId, netns }, node, sandbox, { podCIDR, gateway, mtu }) {
  const link = linkName({ sandboxId })
  const size = mtu > 0 ? { mtu } : {}
  const alias = `${name} ${sandboxId}`
  const peer = { name: inside, netns, ...size }
  node.runSync(links.add({ kind: 'veth', name: link, alias, up: true, ...size, peer }))
  const { index } = node.runSync(links.get(link))
  node.runSync(addresses.add({ dev: index, address: `${gateway}/32` }))
  const { index: dev } = sandbox.runSync(links.get(inside))
  sandbox.runSync(links.set(dev, { up: true }))
  const address = claim(podCIDR, (destination) => node.runSync(routes.add({ destination, dev: index })))
  sandbox.batchSync([
    addresses.add({ dev, address: `${address}/32` }),
    routes.add({ destination: `${gateway}/32`, dev, scope: 'link' }),
    routes.add({ destination: 'default', gateway, dev }),
  ])
  return { link, address }
}

/**
 * Takes the link away, and with it both ends, the addresses and the routes.
 *
 * @param {Sandbox} sandbox
 */
export async function disconnect(sandbox) {
  await using(undefined, (node) => node.run(links.del(linkName(sandbox))).catch(ignoring('ENODEV')))
}

/**
 * What is no longer as it was made, in a phrase; undefined: nothing.
 *
 * @param {Connection} connection
 * @param {string} netns
 * @returns {Promise<string | undefined>}
 */
export function problemOf({ link, address }, netns) {
  return using(undefined, (node) =>
    using(netns, async (sandbox) => {
      // Both ends must be up for it.
      if (!node.runSync(links.brief(link)).running) return `its link ${link} is down`
      const held = sandbox.runSync(addresses.list({ family: 'inet' })).map((one) => one.address)
      if (!held.includes(`${address}/32`)) return `it no longer has its address ${address}`
      const destinations = sandbox.runSync(routes.list({ family: 'inet' })).map((one) => one.destination)
      return destinations.includes('default') ? undefined : 'it has no default route'
    }),
  )
}

/**
 * Takes away the links of sandboxes that are not in the list.
 *
 * @param {readonly string[]} sandboxIds
 */
export async function disconnectOthers(sandboxIds) {
  const veths = await using(undefined, (node) => node.run(links.list({ kind: 'veth' })))
  for (const { alias = '' } of veths) {
    const [owner, sandboxId] = alias.split(' ')
    if (owner === name && sandboxId && !sandboxIds.includes(sandboxId)) await disconnect({ sandboxId })
  }
}

/**
 * The kernel refuses a second route to an address: however many processes look for one, each gets its own.
 *
 * @param {string} podCIDR
 * @param {(destination: string) => void} add
 */
function claim(podCIDR, add) {
  const ranges = podCIDR.split(',').map((one) => parseCIDR(one.trim()))
  const range = ranges.find((one) => one?.family === 4)
  if (!range) throw new Error(`the pod CIDR ${podCIDR} has no IPv4 network: set one such as 10.88.0.0/16`)
  for (const address of addressesOf(range)) {
    try {
      add(`${address}/32`)
      return address
    } catch (error) {
      ignoring('EEXIST')(error)
    }
  }
  throw new Error(`no address is left in ${podCIDR}: tear a pod down, or set a larger podCIDR`)
}

/**
 * Works on a socket to the kernel's tables, of this node or of a network namespace, and closes it.
 *
 * @template T
 * @param {string | undefined} netns
 * @param {(netlink: Netlink) => Promise<T>} work
 */
async function using(netns, work) {
  const netlink = openNetlink(netns === undefined ? {} : { netns })
  try {
    return await work(netlink)
  } finally {
    netlink.close()
  }
}

/**
 * A name holds 15 bytes: too few for an ID, enough for what tells it from all others.
 *
 * @param {Sandbox} sandbox
 */
function linkName({ sandboxId }) {
  return `pw${createHash('sha256').update(`${name} ${sandboxId}`).digest('hex').slice(0, 12)}`
}

/** @param {string} cidr */
function withoutLength(cidr) {
  return cidr.slice(0, cidr.indexOf('/'))
}
