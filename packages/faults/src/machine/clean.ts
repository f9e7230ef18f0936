import { readdirSync } from 'node:fs'
import { ignoring } from '@podwire/api'
import { conntrack, links, NETLINK_NETFILTER, NETNS_DIR, openNetlink, removeNetns } from '@podwire/netlink'
import { tables, transaction } from '@podwire/netlink/nftables'

/** Takes away whatever hosts made in this network namespace and in /run/netns. */
export async function cleanNetwork(): Promise<void> {
  using route = openNetlink()
  for (const { name, index } of route.runSync(links.list()))
    if (/^(pw|cbr)/.test(name)) await route.run(links.del(index)).catch(ignoring('ENODEV'))
  using netfilter = openNetlink({ protocol: NETLINK_NETFILTER })
  for (const table of netfilter.runSync(tables.list())) netfilter.batchSync(transaction([tables.del(table)]))
  await conntrack.flush(netfilter, {})
  for (const name of readdirSync(NETNS_DIR)) removeNetns(`${NETNS_DIR}/${name}`)
}
