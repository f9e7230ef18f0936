import type { Bandwidth, Policy, PortMapping } from '@podwire/api'
import { datapathNames } from '../datapath/datapath.ts'
import { isUsableMac } from '../datapath/mac.ts'
import type { PodAddress } from '../ipam/allocator.ts'
import { familyOf } from '../ipam/cidr.ts'
import { isLinkName } from '../kernel/link-name.ts'
import type { PodRecord, PodSettings } from '../pod-record.ts'
import { compilePolicy, directions } from '../policy/compile.ts'

/** Whether this may be a sandbox's id; it is part of file names. Source: CNI's container ID. */
export const isSandboxId = (id: unknown): id is string =>
  typeof id === 'string' && /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(id)

/**
 * A record as it stands in a file, which anybody may have written: every field is looked at, and no other is taken over.
 * Throws an Error that names the field.
 * @param sandboxId whose record the file is
 */
export function parseRecord(value: unknown, sandboxId: string): PodRecord {
  const record = objectOf(value, 'the record')
  if (record['sandboxId'] !== sandboxId) throw wrong('sandboxId')
  const netns = objectOf(record['netns'], 'netns')
  const addresses = listOf(record['addresses'], 'addresses').map(parseAddress)
  if (addresses.length === 0) throw wrong('addresses')
  // Before there were two it was not written down.
  const datapath = datapathNames.find((name) => name === (record['datapath'] ?? 'bridge'))
  if (!datapath) throw wrong('datapath')
  return {
    namespace: stringOf(record['namespace'], 'namespace'),
    name: stringOf(record['name'], 'name'),
    sandboxId,
    netns: {
      path: stringOf(netns['path'], 'netns.path', (path) => path.startsWith('/') && !path.includes('\0')),
      dev: numberOf(netns['dev'], 'netns.dev', 0),
      ino: numberOf(netns['ino'], 'netns.ino', 0),
    },
    datapath,
    interfaceName: stringOf(record['interfaceName'], 'interfaceName', isLinkName),
    mtu: numberOf(record['mtu'], 'mtu', 68, 65_535),
    ...(record['mac'] === undefined ? {} : { mac: stringOf(record['mac'], 'mac', isUsableMac) }),
    ...(record['isFurther'] === true ? { isFurther: true } : {}),
    addresses,
    ...(record['logGroup'] === undefined
      ? {}
      : { logGroup: numberOf(record['logGroup'], 'logGroup', 0, 65_535) }),
    ...parseSettings(record),
    ...(record['changing'] === undefined
      ? {}
      : { changing: parseSettings(objectOf(record['changing'], 'changing')) }),
    ...(record['withdrawing'] === undefined
      ? {}
      : { withdrawing: listOf(record['withdrawing'], 'withdrawing').map(parsePort) }),
  }
}

function parseSettings(value: Fields): PodSettings {
  return {
    ports: listOf(value['ports'], 'ports').map(parsePort),
    bandwidth: parseBandwidth(objectOf(value['bandwidth'], 'bandwidth')),
    annotations: parseAnnotations(value['annotations'] ?? {}),
    ...(value['policy'] === undefined ? {} : { policy: parsePolicy(value['policy']) }),
  }
}

function parseAnnotations(value: unknown): Record<string, string> {
  const entries = Object.entries(objectOf(value, 'annotations'))
  return Object.fromEntries(entries.map(([key, text]) => [key, stringOf(text, 'annotations', () => true)]))
}

/** What the host checked before it was written down: it is looked at by compiling it. */
function parsePolicy(value: unknown): Policy {
  const policy = objectOf(value, 'policy') as Policy // compiled below, which fails where it is something else
  for (const direction of directions) {
    const side = policy[direction]
    if (side === undefined) continue
    if (objectOf(side, 'policy')['default'] !== 'allow' && side.default !== 'deny')
      throw wrong('policy.default')
    for (const rules of [side.allow ?? [], side.deny ?? []])
      for (const rule of listOf(rules, 'policy.rules')) objectOf(rule, 'policy.rules')
  }
  compilePolicy(policy)
  return policy
}

function parseAddress(value: unknown): PodAddress {
  const entry = objectOf(value, 'addresses')
  const address = stringOf(entry['address'], 'addresses.address', (text) => familyOf(text) !== undefined)
  const family = familyOf(address)
  return {
    address,
    prefixLength: numberOf(entry['prefixLength'], 'addresses.prefixLength', 1, family === 4 ? 32 : 128),
    gateway: stringOf(entry['gateway'], 'addresses.gateway', (text) => familyOf(text) === family),
  }
}

function parsePort(value: unknown): PortMapping {
  const { hostPort, containerPort, protocol, hostIP } = objectOf(value, 'ports')
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp') throw wrong('ports.protocol')
  return {
    hostPort: numberOf(hostPort, 'ports.hostPort', 1, 65_535),
    containerPort: numberOf(containerPort, 'ports.containerPort', 1, 65_535),
    protocol,
    ...(hostIP === undefined
      ? {}
      : { hostIP: stringOf(hostIP, 'ports.hostIP', (text) => familyOf(text) !== undefined) }),
  }
}

function parseBandwidth({ ingress, egress }: Fields): Bandwidth {
  return {
    ...(ingress === undefined ? {} : { ingress: numberOf(ingress, 'bandwidth.ingress', 1) }),
    ...(egress === undefined ? {} : { egress: numberOf(egress, 'bandwidth.egress', 1) }),
  }
}

type Fields = Readonly<Record<string, unknown>>

function objectOf(value: unknown, field: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(field)
  return value as Fields // an object that is not an array has fields of whatever type
}

function listOf(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(field)
  return value
}

function stringOf(value: unknown, field: string, isRight = (text: string) => text !== ''): string {
  if (typeof value !== 'string' || !isRight(value)) throw wrong(field)
  return value
}

function numberOf(value: unknown, field: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most)
    throw wrong(field)
  return value
}

const wrong = (field: string) => new Error(`its ${field} is missing or is not what it should be`)
