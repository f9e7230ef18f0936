import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { parseCIDR } from '@podwire/api'

const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i
const endsInNumber = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/i
const isPlainAscii = /^[ -~]*$/

/** Why this is not the name of a host, or `*.` and one; undefined when it is. */
export function hostProblem(host: string): string | undefined {
  const expected = 'expected a name such as "registry.npmjs.org", or "*.npmjs.org"'
  if (!isPlainAscii.test(host)) {
    const ascii = domainToASCII(host)
    return `expected a name in ASCII${ascii ? `: "${ascii}"` : ''}`
  }
  if (isIP(host))
    return `expected a name, and not an address: use cidr "${host}/${isIP(host) === 4 ? 32 : 128}"`
  const name = host.replace(/^\*\./, '').replace(/\.$/, '')
  if (name.includes('*')) return `${expected}: * stands for whole names at the beginning alone`
  // Names below one are two characters longer at least.
  const length = host.startsWith('*.') ? name.length + 2 : name.length
  if (length > 253) return `expected a name of at most 253 characters, not ${length}`
  if (!name.split('.').every((part) => label.test(part))) return expected
  // As URLs have it: what ends in a number is an address, in one spelling or another.
  if (endsInNumber.test(name)) return 'expected a name, and not an address: use cidr'
  return isPodName(host) && podsNamed(host) === undefined
    ? 'expected the name of a pod: "NAME.NAMESPACE.pod", "*.NAMESPACE.pod" or "*.pod"; select others with pod'
    : undefined
}

/** Whether this is a name that pods have: `web.default.pod`. Nobody else's ends so. */
export const isPodName = (host: string) => /\.pod\.?$/i.test(host)

/** The pods that are so called, as a rule about pods has them: `default/web`, `default/*` of `*.default.pod`. Undefined for what is none. */
export function podsNamed(host: string): string | undefined {
  if (!isPodName(host)) return undefined
  const parts = host
    .toLowerCase()
    .replace(/\.pod\.?$/, '')
    .split('.')
  if (parts.length === 1) return parts[0] === '*' ? '*/*' : undefined
  const [namespace, name] = [parts.at(-1), parts.slice(0, -1).join('.')]
  const pods = `${namespace}/${name}`
  return isPodPattern(pods) === undefined ? pods : undefined
}

const podPart = /^(?:\*|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)$/

/** Why this is not a pod's name; undefined when it is, or has `*` in place of a part. */
export function isPodPattern(pattern: string): string | undefined {
  const parts = pattern.split('/')
  if (parts.length === 2 && parts.every((part) => podPart.test(part))) return undefined
  return 'expected NAMESPACE/NAME, * for any, such as "default/web" or "default/*"'
}

/** Why these are not ports; undefined when they are. */
export function portsProblem(ports: readonly (number | string)[]): string | undefined {
  if (ports.length === 0) return 'expected a port at least; leave ports out for all of them'
  for (const [index, port] of ports.entries()) {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(port)) ?? []
    const isRight = [first, last].every((end) => Number(end) >= 1 && Number(end) <= 65_535)
    if (!isRight)
      return `expected ports from 1 to 65535, such as 443 or "8000-8100", not ${JSON.stringify(port)}`
    if (Number(first) > Number(last)) return `expected the smaller port first: "${last}-${first}"`
    if (ports.slice(0, index).some((other) => String(other) === String(port)))
      return `port ${port} is there twice`
  }
  return undefined
}

/** Why this is not a network less those excepted; undefined when it is. */
export function networkProblem(cidr: string, except: readonly string[] = []): string | undefined {
  const network = parseCIDR(cidr)
  if (!network)
    return isIP(cidr)
      ? `expected a CIDR: "${cidr}/${isIP(cidr) === 4 ? 32 : 128}"`
      : `expected a CIDR such as "10.1.0.0/16", not ${JSON.stringify(cidr)}`
  for (const text of except) {
    const hole = parseCIDR(text)
    if (!hole) return `except: expected a CIDR such as "10.1.2.0/24", not ${JSON.stringify(text)}`
    if (hole.family !== network.family) return `except: ${text} is of another family than ${cidr}`
    if (hole.prefixLength < network.prefixLength) return `except: ${text} is larger than ${cidr}`
  }
  return undefined
}
