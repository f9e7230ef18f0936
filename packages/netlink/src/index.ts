export type { Results } from './batch.ts'
export type { Address } from './codec/address.ts'
export type { Connection, ConnectionTuple } from './codec/conntrack.ts'
export { NETLINK_NETFILTER, NETLINK_ROUTE } from './codec/constants.ts'
export type {
  AddrGenMode,
  BridgePortState,
  BridgeState,
  Link,
  LinkBrief,
  LinkStatistics,
  OperState,
  VxlanState,
} from './codec/link.ts'
export type { Neighbour, NeighbourState } from './codec/neighbour.ts'
export type { Family, Route, RouteScope, RouteType } from './codec/route.ts'
export type { Rule } from './codec/rule.ts'
export type { TrafficControl } from './codec/tc.ts'
export { NetlinkError } from './errors.ts'
export { type NetworkChange, type Watchable, type WatchOptions, watchNetwork } from './monitor.ts'
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
export { type Netlink, type NetlinkOptions, openNetlink } from './netlink.ts'
export * as addresses from './operations/addresses.ts'
export * as classes from './operations/classes.ts'
export * as conntrack from './operations/conntrack.ts'
export * as filters from './operations/filters.ts'
export * as links from './operations/links.ts'
export * as neighbours from './operations/neighbours.ts'
export * as qdiscs from './operations/qdiscs.ts'
export * as routes from './operations/routes.ts'
export * as rules from './operations/rules.ts'
export { type PendingChanges, pendingChanges } from './pending-changes.ts'
export type { LinkRef, Request } from './request.ts'
export { readSysctl, writeSysctl } from './sysctl.ts'
