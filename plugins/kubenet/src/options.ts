import { parseDuration, type StandardIssue, type StandardResult } from '@podwire/api'
import { type DatapathName, datapathNames } from './datapath/datapath.ts'
import { type AddressRange, parseRange } from './ipam/cidr.ts'
import { isLinkName } from './kernel/link-name.ts'
import { optionProperties } from './options-json-schema.ts'
import { isPodLinkName } from './ownership/pod-links.ts'
import { parseServer } from './policy/names/exchange.ts'

/** The config's `plugins.kubenet`, checked and complete. */
export interface KubenetOptions {
  /** How pods are connected from now on; those that run stay as they are. */
  readonly datapath: DatapathName
  /** The bridge's name. */
  readonly bridge: string
  /** Addresses that no pod gets. */
  readonly exclude: readonly AddressRange[]
  /** Whom the resolver of pods with names in their policy asks: `10.0.0.53`, `[fd00::53]:5353`; empty: whom the host asks. */
  readonly nameServers: readonly string[]
  /** How many connections a pod may have open that it began itself; 0: as many as the kernel takes. Of the routed data path. */
  readonly connections: number
  /** How often to look for what someone else deleted, in milliseconds; 0: only when asked. */
  readonly repairInterval: number
}

export const defaultOptions: KubenetOptions = {
  datapath: 'routed',
  bridge: 'cbr0',
  exclude: [],
  nameServers: [],
  connections: 8_192,
  repairInterval: 30_000,
}

/** What the kernel's number for it holds. */
const mostConnections = 2 ** 31 - 1

type Parser = (value: unknown, fail: (message: string) => void) => unknown

// Narrowed by hand: a few options are not worth a tenth of a second of loading a schema library.
const parsers: Readonly<Record<keyof KubenetOptions, Parser>> = {
  datapath(value, fail) {
    if (datapathNames.some((name) => name === value)) return value
    fail(`expected ${datapathNames.map((name) => `"${name}"`).join(' or ')}`)
  },
  bridge(value, fail) {
    if (typeof value === 'string' && isLinkName(value) && !isPodLinkName(value)) return value
    fail(
      'expected the name of a link: 1 to 15 ASCII characters without "/", ":", "%" and space, such as "cbr0"; ' +
        'not "all" or "default", nor one that pods\' links have',
    )
  },
  exclude(value, fail) {
    const ranges = Array.isArray(value)
      ? value.map((item) => (typeof item === 'string' ? parseRange(item) : undefined))
      : [undefined]
    if (ranges.every((range) => range !== undefined)) return ranges
    fail('expected a list of addresses, ranges and CIDRs, such as ["10.88.0.1-10.88.0.9", "10.88.1.0/24"]')
  },
  nameServers(value, fail) {
    if (Array.isArray(value) && value.every((server) => typeof server === 'string' && parseServer(server)))
      return value
    fail('expected a list of addresses with or without port, such as ["10.0.0.53", "[fd00::53]:5353"]')
  },
  connections(value, fail) {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= mostConnections)
      return value
    fail(`expected a whole number up to ${mostConnections}, or 0 for as many as the kernel takes`)
  },
  repairInterval(value, fail) {
    if (value === 0 || value === '0') return 0
    const interval = typeof value === 'string' ? parseDuration(value) : undefined
    if (interval !== undefined) return interval
    fail('expected a duration such as "30s", or 0 for never')
  },
}

const properties: Readonly<Record<keyof KubenetOptions, object>> = optionProperties

/** Validates the options; without any, the defaults. */
export const optionsSchema = {
  '~standard': {
    version: 1 as const,
    vendor: 'podwire',
    validate: validateOptions,
    jsonSchema: { input: () => ({ type: 'object', properties, additionalProperties: false }) },
  },
}

function validateOptions(input: unknown = {}): StandardResult<KubenetOptions> {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    return { issues: [{ message: `expected an object with ${Object.keys(parsers).join(', ')}` }] }
  const issues: StandardIssue[] = []
  const options: Record<string, unknown> = { ...defaultOptions }
  for (const [key, value] of Object.entries(input)) {
    const fail = (message: string) => void issues.push({ message, path: [key] })
    if (!isOption(key)) fail(`unknown option; there are ${Object.keys(parsers).join(', ')}`)
    else if (value !== undefined) options[key] = parsers[key](value, fail)
  }
  // Each value is what its own parser returned, or there are issues.
  return issues.length > 0 ? { issues } : { value: options as unknown as KubenetOptions }
}

const isOption = (key: string): key is keyof KubenetOptions => Object.hasOwn(parsers, key)
