import { describeValue } from '@podwire/api'
import { badResult } from '../errors.ts'
import { isObject, type Json, type JsonObject, kindOf, readKey } from '../json.ts'
import { type CniVersion, isKnownVersion } from '../version.ts'
import { addresses, list, number, objects, strings, text } from './fields.ts'
import type {
  AnyResult,
  BasicInterface,
  BasicRoute,
  Dns,
  Interface,
  IpConfig,
  IpConfig020,
  Result,
  Result020,
  Result040,
  Result100,
  Route,
} from './result.ts'

/**
 * Reads a result of any version from JSON; unknown keys are dropped. A result without `cniVersion` is of `version`, the
 * configuration's; `null` is an empty result.
 * @throws CniError `ERR_CNI_RESULT`
 */
export function parseResult(value: Json | undefined, version: string): AnyResult {
  if (value !== null && !isObject(value)) throw badResult(`a result is an object, not ${kindOf(value)}`)
  const object = value ?? {}
  const declared = text(object, 'cniVersion') || version || '0.1.0'
  if (!isKnownVersion(declared)) throw badResult(`unsupported CNI result version ${describeValue(declared)}`)
  return readers[declared](object, declared)
}

type Reader = (object: JsonObject, version: CniVersion) => AnyResult

const read020: Reader = (object, version) => ({
  cniVersion: version as Result020['cniVersion'], // the table below calls it for no other
  ...present('ip4', family(object, 'ip4')),
  ...present('ip6', family(object, 'ip6')),
  dns: dns(object) ?? {},
})

const read040: Reader = (object, version) => ({
  cniVersion: version as Result040['cniVersion'], // the table below calls it for no other
  ...list('interfaces', objects(object, 'interfaces').map(basicInterface)),
  ...list('ips', objects(object, 'ips').map(versionedIp)),
  ...list('routes', objects(object, 'routes').map(basicRoute)),
  dns: dns(object) ?? {},
})

const read100: Reader = (object): Result100 => ({
  cniVersion: '1.0.0',
  ...list('interfaces', objects(object, 'interfaces').map(basicInterface)),
  ...list('ips', objects(object, 'ips').map(ip)),
  ...list('routes', objects(object, 'routes').map(basicRoute)),
  ...present('dns', dns(object)),
})

const read110: Reader = (object): Result => ({
  cniVersion: '1.1.0',
  ...list('interfaces', objects(object, 'interfaces').map(fullInterface)),
  ...list('ips', objects(object, 'ips').map(ip)),
  ...list('routes', objects(object, 'routes').map(route)),
  ...present('dns', dns(object)),
})

const readers: Record<CniVersion, Reader> = {
  '0.1.0': read020,
  '0.2.0': read020,
  '0.3.0': read040,
  '0.3.1': read040,
  '0.4.0': read040,
  '1.0.0': read100,
  '1.1.0': read110,
}

function family(object: JsonObject, key: 'ip4' | 'ip6'): IpConfig020 | undefined {
  const config = readKey(object, key)
  if (config === undefined) return undefined
  if (!isObject(config)) throw badResult(`${key} is ${kindOf(config)}, expected an object`)
  return {
    ip: addresses.cidr(config, 'ip'),
    ...present('gateway', addresses.address(config, 'gateway')),
    ...list('routes', objects(config, 'routes').map(basicRoute)),
  }
}

function ip(object: JsonObject): IpConfig {
  return {
    address: addresses.cidr(object, 'address'),
    ...present('gateway', addresses.address(object, 'gateway')),
    ...present('interface', number(object, 'interface')),
  }
}

function versionedIp(object: JsonObject): IpConfig & { version: '4' | '6' } {
  const config = ip(object)
  const version = text(object, 'version') ?? ''
  if (version === '4' || version === '6') return { version, ...config }
  if (version === '') return { version: addresses.family(config.address), ...config }
  throw badResult(`ips version is ${describeValue(version)}, expected "4" or "6"`)
}

function basicRoute(object: JsonObject): BasicRoute {
  return { dst: addresses.cidr(object, 'dst'), ...present('gw', addresses.address(object, 'gw')) }
}

function route(object: JsonObject): Route {
  return {
    ...basicRoute(object),
    ...present('mtu', number(object, 'mtu')),
    ...present('advmss', number(object, 'advmss')),
    ...present('priority', number(object, 'priority')),
    ...present('table', number(object, 'table')),
    ...present('scope', number(object, 'scope')),
  }
}

function basicInterface(object: JsonObject): BasicInterface {
  return {
    name: text(object, 'name') ?? '',
    ...present('mac', text(object, 'mac')),
    ...present('sandbox', text(object, 'sandbox')),
  }
}

function fullInterface(object: JsonObject): Interface {
  return {
    ...basicInterface(object),
    ...present('mtu', number(object, 'mtu')),
    ...present('socketPath', text(object, 'socketPath')),
    ...present('pciID', text(object, 'pciID')),
  }
}

function dns(object: JsonObject): Dns | undefined {
  const value = readKey(object, 'dns')
  if (value === undefined) return undefined
  if (!isObject(value)) throw badResult(`dns is ${kindOf(value)}, expected an object`)
  const settings = {
    ...list('nameservers', strings(value, 'nameservers')),
    ...present('domain', text(value, 'domain')),
    ...list('search', strings(value, 'search')),
    ...list('options', strings(value, 'options')),
  }
  return Object.keys(settings).length > 0 ? settings : undefined
}

// The key where it has a value: an empty string says as little as none.
function present<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return value === undefined || value === '' ? {} : ({ [key]: value } as { [K in Key]?: Value }) // a computed key widens to string
}
