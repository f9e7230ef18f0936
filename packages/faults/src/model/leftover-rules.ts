import { errnoOf } from '@podwire/api'
import { readFileIfThere } from '@podwire/api/files'
import { NETLINK_NETFILTER, openNetlink } from '@podwire/netlink'
import { chains, elements, sets, tables, transaction } from '@podwire/netlink/nftables'
import { tableOf } from '../checker/observe-firewall.ts'
import type { Place } from './state.ts'

/**
 * What a table that no pod has any part in has more than one that was just made: chains, sets, and elements that pods bring.
 * @param makeAnew has a host make the table, which is gone
 */
export async function leftoverRules(place: Place, makeAnew: () => Promise<void>): Promise<string[]> {
  const found = contentOf(place)
  if (!found) return []
  {
    using netfilter = openNetlink({ protocol: NETLINK_NETFILTER })
    netfilter.batchSync(transaction([tables.del(tableFor(place))]))
  }
  await makeAnew()
  const fresh = new Set(contentOf(place))
  return found.filter((one) => !fresh.has(one)).map((one) => `${place.stateDir}: ${one} is left`)
}

const tableFor = ({ stateDir }: Place) => tableOf(readFileIfThere(`${stateDir}/plugins/kubenet/id`) ?? '')

/** Each in a phrase; undefined where there is no table. */
function contentOf(place: Place): string[] | undefined {
  using netfilter = openNetlink({ protocol: NETLINK_NETFILTER })
  const table = tableFor(place)
  try {
    return [
      ...netfilter.runSync(chains.list(table)).map(({ chain }) => `chain ${chain}`),
      ...netfilter.runSync(sets.list(table)).flatMap(({ set, dynamic }) => [
        `set ${set}`,
        // What packets bring goes by itself.
        ...(dynamic ? [] : netfilter.runSync(elements.list({ ...table, set })))
          .map(({ key }) => `element ${Buffer.from(key).toString('hex')} of set ${set}`)
          .sort(),
      ]),
    ]
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
