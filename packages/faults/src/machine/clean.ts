import { ignoring } from '@podwire/api'
import { namesIn } from '@podwire/api/files'
import {
  addresses,
  conntrack,
  links,
  NETLINK_NETFILTER,
  NETNS_DIR,
  openNetlink,
  removeNetns,
  routes,
} from '@podwire/netlink'
import { tables, transaction } from '@podwire/netlink/nftables'

/** Takes away whatever hosts made in this network namespace and in /run/netns. */
export async function cleanNetwork(): Promise<void> {
  using route = openNetlink()
  for (const { name, index } of route.runSync(links.list()))
    if (/^(pw|cbr)/.test(name)) await route.run(links.del(index)).catch(ignoring('ENODEV'))
  for (const { dev, address, scope } of route.runSync(addresses.list({ dev: 'lo' })))
    if (scope === 'global') await route.run(addresses.del({ dev, address }))
  for (const { destination, type, metric } of route.runSync(routes.list()))
    if (type === 'unreachable')
      await route.run(routes.del({ destination, type, ...(metric === undefined ? {} : { metric }) }))
  using netfilter = openNetlink({ protocol: NETLINK_NETFILTER })
  for (const table of netfilter.runSync(tables.list())) netfilter.batchSync(transaction([tables.del(table)]))
  await conntrack.flush(netfilter, {})
  for (const name of namesIn(NETNS_DIR)) removeNetns(`${NETNS_DIR}/${name}`)
}
