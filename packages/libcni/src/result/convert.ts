import { describeValue } from '@podwire/api'
import { badResult } from '../errors.ts'
import { isKnownVersion } from '../version.ts'
import { addresses, list } from './fields.ts'
import type {
  AnyResult,
  BasicRoute,
  Interface,
  IpConfig,
  IpConfig020,
  Result,
  Result020,
  Result040,
  Result100,
  ResultOf,
  Route,
} from './result.ts'

/**
 * The result as another version has it. Downward is lost what the older version can't hold: from 1.1.0 the interfaces'
 * `mtu`, `socketPath` and `pciID` and the routes' `mtu`, `advmss`, `priority`, `table` and `scope`; to 0.2.0 and 0.1.0
 * the interfaces and all addresses but the first of each family.
 * @throws CniError `ERR_CNI_RESULT` for a version this library doesn't know, and where 0.2.0 or 0.1.0 would have no address
 */
export function convertResult<Version extends AnyResult['cniVersion']>(
  result: AnyResult,
  version: Version,
): ResultOf<Version>
export function convertResult(result: AnyResult, version: string): AnyResult
export function convertResult(result: AnyResult, version: string): AnyResult {
  if (!isKnownVersion(version)) throw badResult(`unsupported CNI result version ${describeValue(version)}`)
  if (result.cniVersion === version) return result
  // Versions of one form differ in nothing but their name: there is nothing to lose, and nothing to insist on.
  if (form(result.cniVersion) === form(version)) return { ...result, cniVersion: version } as AnyResult // of the same form, just compared
  return fromCurrent[version](toCurrent(result))
}

const fromCurrent: { [V in AnyResult['cniVersion']]: (result: Result) => AnyResult } = {
  '0.1.0': (result) => to020(result, '0.1.0'),
  '0.2.0': (result) => to020(result, '0.2.0'),
  '0.3.0': (result) => to040(result, '0.3.0'),
  '0.3.1': (result) => to040(result, '0.3.1'),
  '0.4.0': (result) => to040(result, '0.4.0'),
  '1.0.0': to100,
  '1.1.0': (result) => result,
}

const form = (version: AnyResult['cniVersion']) =>
  version === '0.1.0' ? '0.2.0' : version.startsWith('0.3') ? '0.4.0' : version

function toCurrent(result: AnyResult): Result {
  switch (result.cniVersion) {
    case '0.1.0':
    case '0.2.0':
      return from020(result)
    case '0.3.0':
    case '0.3.1':
    case '0.4.0':
      return from040(result)
    default:
      return { ...result, cniVersion: '1.1.0' }
  }
}

function from020({ ip4, ip6, dns }: Result020): Result {
  const families = [ip4, ip6].filter((family) => family !== undefined)
  return {
    cniVersion: '1.1.0',
    ...list(
      'ips',
      families.map(({ ip, gateway }) => ({ address: ip, ...(gateway === undefined ? {} : { gateway }) })),
    ),
    ...list(
      'routes',
      families.flatMap(({ routes }) => routes ?? []),
    ),
    ...nonEmpty(dns),
  }
}

function from040({ ips, dns, ...rest }: Result040): Result {
  return {
    ...rest,
    cniVersion: '1.1.0',
    ...list(
      'ips',
      (ips ?? []).map(({ version: _, ...config }) => config),
    ),
    ...nonEmpty(dns),
  }
}

function to100({ interfaces, ips, routes, dns }: Result): Result100 {
  return {
    cniVersion: '1.0.0',
    ...list('interfaces', (interfaces ?? []).map(basicInterface)),
    ...list('ips', ips ?? []),
    ...list('routes', (routes ?? []).map(basicRoute)),
    ...nonEmpty(dns ?? {}),
  }
}

function to040(result: Result, cniVersion: Result040['cniVersion']): Result040 {
  const { ips, dns, ...rest } = to100(result)
  return {
    ...rest,
    cniVersion,
    ...list(
      'ips',
      (ips ?? []).map((config) => ({ version: addresses.family(config.address), ...config })),
    ),
    dns: dns ?? {},
  }
}

function to020({ ips = [], routes = [], dns = {} }: Result, cniVersion: Result020['cniVersion']): Result020 {
  const first = (family: '4' | '6'): IpConfig020 | undefined => {
    const config = ips.find(({ address }) => addresses.family(address) === family)
    return (
      config &&
      family020(
        config,
        routes.filter(({ dst }) => addresses.family(dst) === family),
      )
    )
  }
  const [ip4, ip6] = [first('4'), first('6')]
  if (!ip4 && !ip6) throw badResult('cannot convert: no valid IP addresses')
  return { cniVersion, ...(ip4 ? { ip4 } : {}), ...(ip6 ? { ip6 } : {}), dns }
}

function family020({ address, gateway }: IpConfig, routes: readonly Route[]): IpConfig020 {
  return {
    ip: address,
    ...(gateway === undefined ? {} : { gateway }),
    ...list('routes', routes.map(basicRoute)),
  }
}

const basicRoute = ({ dst, gw }: Route): BasicRoute => ({ dst, ...(gw === undefined ? {} : { gw }) })

const basicInterface = ({ mtu: _, socketPath: __, pciID: ___, ...basic }: Interface) => basic

const nonEmpty = (dns: NonNullable<Result['dns']>) => (Object.keys(dns).length > 0 ? { dns } : {})
