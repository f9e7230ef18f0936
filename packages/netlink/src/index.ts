export { NetlinkError } from './errors.ts'
export type { GenericFamily } from './genetlink/families.ts'
export * as families from './genetlink/families.ts'
export {
  createNetns,
  isNetns,
  listNetns,
  type NamedNetns,
  NETNS_DIR,
  type Netns,
  type NetnsId,
  namedNetns,
  netnsId,
  openNetns,
  removeNetns,
  withNetns,
} from './namespaces.ts'
export type { Connection, ConnectionTraffic, ConnectionTuple } from './netfilter/connection.ts'
export {
  type ConnectionEvent,
  type ConnectionWatchOptions,
  watchConnections,
} from './netfilter/connection-events.ts'
export * as conntrack from './netfilter/conntrack.ts'
export { type LoggedPacket, type NflogOptions, nflogQueue, watchNflog } from './netfilter/nflog.ts'
export { setTransmitsWithoutChecksum, transmitsWithoutChecksum } from './offload.ts'
export type { Address } from './rtnetlink/address.ts'
export * as addresses from './rtnetlink/addresses.ts'
export * as classes from './rtnetlink/classes.ts'
export * as filters from './rtnetlink/filters.ts'
export type { ForwardingEntry, NewForwardingEntry } from './rtnetlink/forwarding.ts'
export * as forwarding from './rtnetlink/forwarding.ts'
export type {
  AddrGenMode,
  BridgePortState,
  BridgeState,
  Ipv4Settings,
  Link,
  LinkBrief,
  LinkStatistics,
  OperState,
  VxlanState,
} from './rtnetlink/link.ts'
export type { NewLink } from './rtnetlink/links.ts'
export * as links from './rtnetlink/links.ts'
export { type NetworkChange, type Watchable, type WatchOptions, watchNetwork } from './rtnetlink/monitor.ts'
export type { Neighbour, NeighbourState } from './rtnetlink/neighbour.ts'
export * as neighbours from './rtnetlink/neighbours.ts'
export { type PendingChanges, pendingChanges } from './rtnetlink/pending-changes.ts'
export * as qdiscs from './rtnetlink/qdiscs.ts'
export type { Route, RouteScope, RouteType } from './rtnetlink/route.ts'
export * as routes from './rtnetlink/routes.ts'
export type { Rule } from './rtnetlink/rule.ts'
export * as rules from './rtnetlink/rules.ts'
export type { TrafficControl } from './rtnetlink/traffic-control.ts'
export type { Results } from './socket/batch.ts'
export { type Netlink, type NetlinkOptions, openNetlink } from './socket/netlink.ts'
export type { LinkRef, Request } from './socket/request.ts'
export { readSysctl, writeSysctl } from './sysctl.ts'
export { NETLINK_GENERIC, NETLINK_NETFILTER, NETLINK_ROUTE } from './wire/constants.ts'
export type { WireguardChanges, WireguardDevice } from './wireguard/device.ts'
export * as wireguard from './wireguard/device.ts'
export { isWireguardKey } from './wireguard/key.ts'
export type { WireguardEndpoint, WireguardPeer, WireguardPeerChange } from './wireguard/peer.ts'
