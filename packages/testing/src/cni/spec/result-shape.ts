import { isIP } from 'node:net'
import { isObject, type JsonObject } from '../../kernel-state/json.ts'
import type { Role } from '../subject/profiles.ts'
import { atLeast, type CniVersion } from './versions.ts'

/** What is wrong with a result in a version's shape; nothing where it is right. */
export function resultProblems(result: JsonObject, version: CniVersion, role: Role): string[] {
  const { interfaces = [], ips = [], routes = [], dns = {} } = result
  if (!Array.isArray(interfaces)) return ['interfaces is not a list']
  if (!Array.isArray(ips)) return ['ips is not a list']
  if (!Array.isArray(routes)) return ['routes is not a list']
  if (!isObject(dns)) return ['dns is not an object']
  const count = role === 'ipam' ? 0 : interfaces.length
  return [
    ...each('interfaces', interfaces, (entry) => interfaceProblems(entry, version)),
    ...each('ips', ips, (entry) => ipProblems(entry, version, count)),
    ...each('routes', routes, (entry) => routeProblems(entry, version)),
    ...dnsProblems(dns),
  ]
}

function each(name: string, list: readonly unknown[], problems: (entry: JsonObject) => string[]): string[] {
  return list.flatMap((entry, index) =>
    isObject(entry)
      ? problems(entry).map((problem) => `${name}[${index}].${problem}`)
      : [`${name}[${index}] is not an object`],
  )
}

function interfaceProblems(entry: JsonObject, version: CniVersion): string[] {
  return [
    ...(typeof entry['name'] === 'string' && entry['name'] !== '' ? [] : ['name is not a text']),
    ...optional(
      entry,
      'mac',
      (mac) => mac === '' || /^([0-9a-f]{2}[:-]){5,19}[0-9a-f]{2}$/i.test(String(mac)),
    ),
    ...optional(entry, 'sandbox', isText),
    ...(atLeast(version, '1.1.0')
      ? [
          ...optional(entry, 'mtu', isUnsigned),
          ...optional(entry, 'socketPath', isText),
          ...optional(entry, 'pciID', isText),
        ]
      : []),
  ]
}

function ipProblems(entry: JsonObject, version: CniVersion, interfaces: number): string[] {
  const { address } = entry
  const family = familyOf(address)
  if (family === 0) return [`address is ${JSON.stringify(address)}, not an address with its prefix length`]
  const isFamily = atLeast(version, '1.0.0') || entry['version'] === String(family)
  return [
    ...(isFamily ? [] : [`version is ${JSON.stringify(entry['version'])}, not "${family}"`]),
    ...optional(entry, 'gateway', (gateway) => isIP(String(gateway)) === family),
    ...optional(entry, 'interface', (index) => isUnsigned(index) && Number(index) < interfaces),
  ]
}

function routeProblems(entry: JsonObject, version: CniVersion): string[] {
  const family = familyOf(entry['dst'])
  const numbers = atLeast(version, '1.1.0') ? ['mtu', 'advmss', 'priority', 'table', 'scope'] : []
  return [
    ...(family === 0
      ? [`dst is ${JSON.stringify(entry['dst'])}, not an address with its prefix length`]
      : []),
    ...optional(entry, 'gw', (gateway) => isIP(String(gateway)) === family),
    ...numbers.flatMap((name) => optional(entry, name, isUnsigned)),
  ]
}

function dnsProblems(dns: JsonObject): string[] {
  const isTexts = (value: unknown) => Array.isArray(value) && value.every(isText)
  return [
    ...['nameservers', 'search', 'options'].flatMap((name) => optional(dns, name, isTexts)),
    ...optional(dns, 'domain', isText),
  ].map((problem) => `dns.${problem}`)
}

function optional(entry: JsonObject, name: string, isRight: (value: unknown) => boolean): string[] {
  const value = entry[name]
  return value === undefined || isRight(value) ? [] : [`${name} is ${JSON.stringify(value)}`]
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}

function isUnsigned(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0
}

/** 4 or 6 for an address with its prefix length, 0 for anything else. */
function familyOf(cidr: unknown): number {
  if (typeof cidr !== 'string') return 0
  const [address = '', length = '', ...rest] = cidr.split('/')
  const family = isIP(address)
  if (rest.length > 0 || !/^\d{1,3}$/.test(length) || Number(length) > (family === 4 ? 32 : 128)) return 0
  return family
}
