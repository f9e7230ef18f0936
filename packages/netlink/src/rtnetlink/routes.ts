import type { LinkRef, Request, Scope } from '../socket/request.ts'
import { u32 } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { AF_INET, AF_UNSPEC, encodeIp, encodePrefix, type Family, familyOf, familyValue } from '../wire/ip.ts'
import { ADD, change, dump, isOf, REPLACE } from './request.ts'
import {
  decodeRoute,
  encodeRoute,
  type Route,
  type RouteScope,
  type RouteType,
  routeTypeValue,
  scopeValue,
} from './route.ts'

const RTPROT_BOOT = 3
const RT_TABLE_COMPAT = 252

export interface NewRoute {
  /** With prefix length; `default` takes its family from the gateway or `family`. */
  destination: string
  family?: Family
  gateway?: string
  dev?: LinkRef
  /** Default: 254, the main table. */
  table?: number
  metric?: number
  /** In bytes. */
  mtu?: number
  /** The source address that packets get. */
  source?: string
  /** Take the gateway to be on the link though no address says so. */
  onlink?: boolean
  /** `global` with a gateway, else `link`. */
  scope?: RouteScope
  /** Default: `unicast`. */
  type?: RouteType
  /** Who makes it; default: 3, as `ip route` says of its own. */
  protocol?: number
}

/** Makes a route. Errors: `EEXIST`, `ENETUNREACH` for a gateway that can't be reached, `ENODEV`. */
export const add = (route: NewRoute): Request<void> => install('add', route, ADD)

/** The same where one to that destination with that metric may be there already. */
export const replace = (route: NewRoute): Request<void> => install('replace', route, REPLACE)

/** Deletes the first route that agrees with all that is given. Errors: `ESRCH` when there is none. */
export function del(route: NewRoute): Request<void> {
  return change(words('delete', route), c.RTM_DELROUTE, 0, (scope) => {
    const anyScope = route.scope === undefined ? { scope: 'nowhere' as const } : {}
    return encode({ ...route, ...anyScope }, scope, { anyProtocol: true })
  })
}

/** The routes of a table, by default the main one, of both families or one, of all links or one. */
export function list({
  table = c.RT_TABLE_MAIN,
  family,
  dev,
}: {
  table?: number
  family?: Family
  dev?: LinkRef
} = {}): Request<Route[]> {
  return dump(
    'list routes',
    [c.RTM_GETROUTE, c.RTM_NEWROUTE],
    (scope) =>
      encodeRoute({ family: family ? familyValue(family) : AF_UNSPEC }, [
        [c.RTA_OIF, dev === undefined ? undefined : u32(scope.index(dev))],
      ]),
    decodeRoute,
    (route, scope) =>
      route.table === table && (!family || route.family === family) && isOf(dev, route.dev, scope),
  )
}

function install(verb: string, route: NewRoute, flags: number): Request<void> {
  return change(words(verb, route), c.RTM_NEWROUTE, flags, (scope) =>
    encode(route, scope, { anyProtocol: false }),
  )
}

function encode(route: NewRoute, scope: Scope, { anyProtocol }: { anyProtocol: boolean }): Buffer {
  const { gateway, dev, metric, mtu, source, table = c.RT_TABLE_MAIN, type = 'unicast' } = route
  const destination = destinationOf(route)
  const header = {
    family: destination.family,
    destinationLength: destination.length,
    table: table < 256 ? table : RT_TABLE_COMPAT,
    protocol: route.protocol ?? (anyProtocol ? 0 : RTPROT_BOOT),
    scope: scopeValue(route.scope ?? defaultScope(route, destination.family)),
    // A deletion takes any type where none is named.
    type: anyProtocol && route.type === undefined ? 0 : routeTypeValue(type),
    flags: route.onlink ? c.RTNH_F_ONLINK : 0,
  }
  return encodeRoute(header, [
    [c.RTA_DST, destination.bytes],
    [c.RTA_GATEWAY, gateway === undefined ? undefined : encodeIp(gateway)],
    [c.RTA_OIF, dev === undefined ? undefined : u32(scope.index(dev))],
    [c.RTA_PRIORITY, metric === undefined ? undefined : u32(metric)],
    [c.RTA_PREFSRC, source === undefined ? undefined : encodeIp(source)],
    [c.RTA_METRICS, mtu === undefined ? undefined : [[c.RTAX_MTU, u32(mtu)]]],
    [c.RTA_TABLE, u32(table)],
  ])
}

function destinationOf({ destination, gateway, family }: NewRoute) {
  if (destination !== 'default') return encodePrefix(destination)
  const inherited = gateway === undefined ? AF_INET : familyOf(gateway)
  return { family: family ? familyValue(family) : inherited, bytes: undefined, length: 0 }
}

function defaultScope({ gateway, type = 'unicast' }: NewRoute, family: number): RouteScope {
  if (type === 'local') return 'host'
  return family === AF_INET && gateway === undefined && type === 'unicast' ? 'link' : 'global'
}

const words = (verb: string, { destination, gateway, dev }: NewRoute) =>
  `${verb} route ${destination}${gateway ? ` via ${gateway}` : ''}${dev === undefined ? '' : ` on link ${dev}`}`
