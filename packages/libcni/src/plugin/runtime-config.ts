import { isArray, isObject, type Json, type JsonObject, own } from '../json.ts'

// Go matches keys without regard to case, so that runtimes may send what they like: containerd sends HostPort. These
// are the spellings of the conventions.
const conventional = [
  ...['portMappings', 'hostPort', 'containerPort', 'protocol', 'hostIP'],
  ...['bandwidth', 'ingressRate', 'ingressBurst', 'egressRate', 'egressBurst'],
  ...['dns', 'servers', 'searches', 'options'],
  ...['ipRanges', 'subnet', 'rangeStart', 'rangeEnd', 'gateway'],
  ...['ips', 'mac', 'infinibandGUID', 'deviceID', 'aliases', 'cgroupPath'],
]
const spelling = new Map(conventional.map((key) => [key.toLowerCase(), key]))

/** The runtime configuration with the conventions' keys in their usual spelling; all other keys as they are. */
export function normaliseRuntimeConfig(config: JsonObject): JsonObject {
  const entries = Object.entries(config).map(([key, value]) => {
    const usual = spelling.get(key.toLowerCase())
    // Where both spellings are there, the usual one counts.
    const name = usual !== undefined && !Object.hasOwn(config, usual) ? usual : key
    return [name, value === undefined ? value : normaliseValue(value)] as const
  })
  return Object.fromEntries(entries)
}

/** The value of a key in any spelling; the exact one where there are several. For keys that no convention knows. */
export function readCaseless(object: JsonObject, key: string): Exclude<Json, null> | undefined {
  if (Object.hasOwn(object, key)) return own(object, key)
  const found = Object.keys(object).find((candidate) => candidate.toLowerCase() === key.toLowerCase())
  return found === undefined ? undefined : own(object, found)
}

function normaliseValue(value: Json): Json {
  if (isArray(value)) return value.map(normaliseValue)
  return isObject(value) ? normaliseRuntimeConfig(value) : value
}
