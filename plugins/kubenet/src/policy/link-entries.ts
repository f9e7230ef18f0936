import {
  type Change,
  concatenate,
  type Element,
  elements,
  linkName,
  type TableRef,
} from '@podwire/netlink/nftables'
import { be16, encodeIp } from '@podwire/netlink/transport'
import type { Firewall } from '../firewall/firewall.ts'
import { askingSets, families, policyMaps, setNames } from '../firewall/layout.ts'
import { familyOf } from '../ipam/cidr.ts'
import { isUdpPortOpen } from '../kernel/udp-ports.ts'
import type { PodRecord } from '../pod-record.ts'
import type { Answered } from './answered.ts'
import { directions } from './compile.ts'
import { ifThere, removed } from './in-kernel.ts'
import type { KernelPolicy } from './kernel-policy.ts'
import { chainOf } from './objects.ts'

/** What a map that all pods share says of a pod's link. */
export interface LinkEntry {
  readonly map: string
  readonly element: Element
}

const resolverMaps = families.map((family) => setNames(family).resolvers)
const linkMaps = [...Object.values(policyMaps), ...resolverMaps, ...Object.values(askingSets)]

/** The chains by which the packets go that a link's pod sends, and that are sent to it. */
export const policyEntries = (link: string, policy: KernelPolicy): LinkEntry[] =>
  directions.map((direction) => ({
    map: policyMaps[direction],
    element: { key: linkName(link), value: { jump: chainOf(direction, policy) } },
  }))

/** Lead what a pod asks to a port of the host, whomever it asks, but those that it asks itself. */
export const resolverEntries = (
  link: string,
  { addresses }: PodRecord,
  { port, answers }: { readonly port: number; readonly answers: Answered },
): LinkEntry[] => [
  ...addresses.map(({ gateway }) => ({
    map: setNames(familyOf(gateway) ?? 4).resolvers,
    element: { key: linkName(link), value: concatenate(encodeIp(gateway), be16(port)) },
  })),
  ...answers.itself.map((whom) => ({ map: askingSets[whom], element: { key: linkName(link) } })),
]

export const added = (table: TableRef, entries: readonly LinkEntry[]): Change[] =>
  entries.flatMap(({ map, element }) => elements.add({ ...table, set: map }, [element]))

/** The same where nothing may be there yet. Errors: `EEXIST` */
export const created = (table: TableRef, entries: readonly LinkEntry[]): Change[] =>
  entries.flatMap(({ map, element }) => elements.create({ ...table, set: map }, [element]))

/** Takes all away that there is of a link. */
export const forgotten = (firewall: Firewall, table: TableRef, link: string): Change[] =>
  linkMaps.flatMap((map) => removed(firewall, { ...table, set: map }, [linkName(link)]))

/** Nothing that a link's pod begins passes, nor what begins with it. */
export const cutOff = (table: TableRef, link: string): Change[] =>
  Object.values(policyMaps).flatMap((map) =>
    elements.add({ ...table, set: map }, [{ key: linkName(link), value: 'drop' }]),
  )

/** Where the questions of a link's pod are led, by family. */
function resolverPorts(firewall: Firewall, link: string): number[] {
  const found = resolverMaps.flatMap(
    (set) =>
      ifThere(() => firewall.ask((table) => elements.get({ ...table, set }, linkName(link))))?.value ?? [],
  )
  // The value is an address and a port, in network order.
  return found.flatMap((value) =>
    value instanceof Uint8Array ? [Buffer.from(value).readUInt16BE(value.length - 4)] : [],
  )
}

const isEach = (ports: readonly number[], is: (port: number) => boolean) =>
  ports.length > 0 && ports.every(is)

/** Whether somebody listens where the questions of a link's pod are led, this process or another one. */
export const isAnsweredByAnybody = (firewall: Firewall, link: string) =>
  isEach(resolverPorts(firewall, link), isUdpPortOpen)

/** Whether they are led to this port. */
export const isAnsweredAt = (firewall: Firewall, link: string, own: number) =>
  isEach(resolverPorts(firewall, link), (port) => port === own)
