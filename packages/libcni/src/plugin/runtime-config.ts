import { isArray, isObject, type Json, type JsonObject } from '../json.ts'

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

function normaliseValue(value: Json): Json {
  if (isArray(value)) return value.map(normaliseValue)
  return isObject(value) ? normaliseRuntimeConfig(value) : value
}
