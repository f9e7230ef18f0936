import { isIP } from 'node:net'
import { describeValue, messageOf, type PodNetworkStatus } from '@podwire/api'

/**
 * What an executable printed as a pod's status; undefined when it printed nothing, so that the host looks for itself.
 * @throws what `reject` makes of a phrase that names what is wrong
 */
export function parseStatus(
  printed: string,
  reject: (problem: string) => Error,
): PodNetworkStatus | undefined {
  if (printed.trim() === '') return undefined
  const { kind = '', apiVersion = '', ip, ips } = parseObject(printed, reject)
  if (kind !== '' && kind !== 'PodNetworkStatus') {
    throw reject(`kind is ${describeValue(kind)}, expected "PodNetworkStatus"`)
  }
  if (apiVersion !== '' && apiVersion !== 'v1beta1') {
    throw reject(`apiVersion is ${describeValue(apiVersion)}, expected "v1beta1"`)
  }
  if (!isAddress(ip)) throw reject(`ip is ${describeValue(ip)}, expected an IP address`)
  if (ips === undefined) return { ip }
  if (!Array.isArray(ips) || !ips.every(isAddress)) {
    throw reject(`ips is ${describeValue(ips)}, expected a list of IP addresses`)
  }
  return { ip, ips }
}

function parseObject(printed: string, reject: (problem: string) => Error): Record<string, unknown> {
  let json: unknown
  try {
    json = JSON.parse(printed)
  } catch (error) {
    throw reject(`it is not JSON (${messageOf(error).slice(0, 80)})`)
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return { ...json }
  throw reject('it is not a JSON object')
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && isIP(value) !== 0
}
