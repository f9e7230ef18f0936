import { BlockList, isIP } from 'node:net'
import {
  EGRESS_BANDWIDTH_ANNOTATION,
  INGRESS_BANDWIDTH_ANNOTATION,
  IP_ANNOTATION,
  MAC_ANNOTATION,
  messageOf,
  type PortMapping,
  parseCIDR,
} from '@podwire/api'
import { type AttachmentRequest, CniCode, pluginError, readKey } from '@podwire/libcni/plugin'
import * as z from 'zod'
import type { AttachmentArgs } from './attachment.ts'

/** What the configuration and the runtime ask of a pod's network, checked. */
export interface Wishes {
  readonly portMappings: readonly PortMapping[]
  readonly annotations: Readonly<Record<string, string>>
  readonly dns: Dns | undefined
  /** Without prefix length. */
  readonly ips: readonly string[]
  readonly mac: string | undefined
  /** Whether an address is in one of the ranges that are wanted; undefined where any is right. */
  readonly isInRange: ((address: string) => boolean) | undefined
}

export interface Dns {
  readonly nameservers?: string[]
  readonly domain?: string
  readonly search?: string[]
  readonly options?: string[]
}

const address = z
  .string()
  .refine((text) => isIP(text) !== 0 && !text.includes('%'), 'expected an IP address without a zone')
const port = z.number().int().min(0).max(65_535)
const bits = z.number().min(0)
const texts = z.array(z.string())

const runtimeConfig = z.strictObject({
  portMappings: z
    .array(
      z.object({
        hostPort: port,
        containerPort: port,
        protocol: z
          .string()
          .default('tcp')
          .transform((name) => name.toLowerCase())
          .pipe(z.enum(['tcp', 'udp', 'sctp'])),
        hostIP: z.union([z.literal(''), address]).optional(),
      }),
    )
    .default([]),
  // How much may come at once is the plugin's to choose: as little as holds the rate.
  bandwidth: z
    .object({
      ingressRate: bits.optional(),
      ingressBurst: bits.optional(),
      egressRate: bits.optional(),
      egressBurst: bits.optional(),
    })
    .default({}),
  dns: z
    .object({
      servers: texts.optional(),
      searches: texts.optional(),
      options: texts.optional(),
    })
    .optional(),
  ips: z
    .array(z.string().transform((text) => text.split('/')[0] ?? ''))
    .pipe(z.array(address))
    .default([]),
  mac: z.string().optional(),
  ipRanges: z
    .array(
      z.array(
        z.object({
          subnet: z.string().refine((text) => parseCIDR(text) !== undefined, 'expected a CIDR'),
          rangeStart: address.optional(),
          rangeEnd: address.optional(),
          gateway: address.optional(),
        }),
      ),
    )
    .default([]),
})

const networkDns = z.object({
  nameservers: texts.optional(),
  domain: z.string().optional(),
  search: texts.optional(),
  options: texts.optional(),
})

/**
 * Reads what is asked of a pod's network. A wish that nobody here knows is an error: nothing is left out in silence.
 * @throws CniError 2 with key and value, 7
 */
export function readWishes(request: AttachmentRequest, args: AttachmentArgs): Wishes {
  if (readKey(request.config, 'ipam') !== undefined)
    throw unsupported(
      'ipam',
      readKey(request.config, 'ipam'),
      'the network plugin gives addresses by its pod CIDR',
    )
  const { portMappings, bandwidth, dns, ips, mac, ipRanges } = parseRuntimeConfig(request)
  const wantedIps = ips.length > 0 ? ips : args.ips.map((text) => text.split('/')[0] ?? '')
  const wantedMac = (mac ?? args.mac)?.toLowerCase()
  return {
    // A container's port without one of the host's is no more than a note.
    portMappings: portMappings
      .filter(({ hostPort }) => hostPort !== 0)
      .map(({ hostIP, ...mapping }) => ({ ...mapping, ...(hostIP ? { hostIP } : {}) })),
    annotations: {
      ...limit(INGRESS_BANDWIDTH_ANNOTATION, bandwidth.ingressRate),
      ...limit(EGRESS_BANDWIDTH_ANNOTATION, bandwidth.egressRate),
      ...(wantedIps.length > 0 ? { [IP_ANNOTATION]: wantedIps.join() } : {}),
      ...(wantedMac === undefined ? {} : { [MAC_ANNOTATION]: wantedMac }),
    },
    dns: dns ? fromRuntime(dns) : parseNetworkDns(request),
    ips: wantedIps,
    mac: wantedMac,
    isInRange: rangesOf(ipRanges.flat()),
  }
}

function parseRuntimeConfig({ runtimeConfig: given }: AttachmentRequest): z.output<typeof runtimeConfig> {
  // What is empty asks for nothing.
  const asked = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null))
  const parsed = runtimeConfig.safeParse(asked)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const [unknown] = issue?.code === 'unrecognized_keys' ? issue.keys : []
  if (unknown !== undefined)
    throw unsupported(
      `runtimeConfig.${unknown}`,
      asked[unknown],
      'take it out of the capabilities of the network',
    )
  throw pluginError(CniCode.invalidConfig, problemOf('runtimeConfig', issue))
}

function parseNetworkDns({ config }: AttachmentRequest): Dns | undefined {
  const given = readKey(config, 'dns')
  if (given === undefined) return undefined
  const parsed = networkDns.safeParse(given)
  if (!parsed.success) throw pluginError(CniCode.invalidConfig, problemOf('dns', parsed.error.issues[0]))
  // zod spells an absent key `T | undefined`; parsed output never holds such a key.
  return parsed.data as Dns
}

const fromRuntime = ({
  servers,
  searches,
  options,
}: {
  servers?: string[] | undefined
  searches?: string[] | undefined
  options?: string[] | undefined
}): Dns => ({
  ...(servers ? { nameservers: servers } : {}),
  ...(searches ? { search: searches } : {}),
  ...(options ? { options } : {}),
})

const limit = (annotation: string, rate: number | undefined) =>
  rate ? { [annotation]: String(Math.ceil(rate)) } : {}

interface Range {
  readonly subnet: string
  readonly rangeStart?: string | undefined
  readonly rangeEnd?: string | undefined
}

function rangesOf(ranges: readonly Range[]): Wishes['isInRange'] {
  if (ranges.length === 0) return undefined
  let checks: readonly ((address: string) => boolean)[]
  try {
    checks = ranges.map(rangeCheck)
  } catch (error) {
    // Of another family, or the last before the first.
    throw pluginError(CniCode.invalidConfig, `runtimeConfig.ipRanges: ${messageOf(error)}`)
  }
  return (text) => checks.some((isIn) => isIn(text))
}

function rangeCheck({ subnet, rangeStart, rangeEnd }: Range): (address: string) => boolean {
  const cidr = parseCIDR(subnet)
  if (!cidr) return () => false
  const family = cidr.family === 6 ? 'ipv6' : 'ipv4'
  const inSubnet = new BlockList()
  inSubnet.addSubnet(cidr.address, cidr.prefixLength, family)
  const inBounds = new BlockList()
  const [first, last] = ends[family]
  inBounds.addRange(rangeStart ?? first, rangeEnd ?? last, family)
  return (text) =>
    text.includes(':') === (cidr.family === 6) && inSubnet.check(text, family) && inBounds.check(text, family)
}

const ends = {
  ipv4: ['0.0.0.0', '255.255.255.255'],
  ipv6: ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
} as const

function problemOf(where: string, issue: z.core.$ZodIssue | undefined): string {
  const path = [where, ...(issue?.path ?? []).map(String)].join('.')
  return `${path}: ${issue?.message ?? 'not what it should be'}`
}

/** What the spec wants of this error: the key, and its value. */
export function unsupported(key: string, value: unknown, why: string) {
  const text = JSON.stringify(value) ?? String(value)
  return pluginError(
    CniCode.unsupportedField,
    `${key} = ${text.length > 200 ? `${text.slice(0, 199)}…` : text} can't be honoured: ${why}`,
  )
}
