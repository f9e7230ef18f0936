import { createHash } from 'node:crypto'
import { delimiter, resolve } from 'node:path'
import { messageOf } from '@podwire/api'
import type { Attachment, JsonObject } from '@podwire/libcni'
import { command, type DefineCommand } from '../command.ts'
import { errors } from '../errors.ts'
import { printError, printRaw } from '../output.ts'

const define: DefineCommand = (does) =>
  command(
    'cnitool',
    'run a CNI network configuration, as the Go tool of that name does',
    'CNI_PATH=/usr/lib/cni podwire cnitool add mynet /run/netns/testing',
  )
    .argument('[words...]', 'add|check|del NETWORK NETNS, or gc|status|version NETWORK')
    .option('-i, --interface <name>', 'inside the namespace (default: CNI_IFNAME, or eth0)')
    .action(does(cnitool))
export default define

const DEFAULT_NETCONFPATH = '/etc/cni/net.d'

/** What `cnitool` is told by its environment. */
interface CnitoolEnvironment {
  readonly NETCONFPATH?: string | undefined
  readonly CNI_PATH?: string | undefined
  readonly CNI_ARGS?: string | undefined
  readonly CAP_ARGS?: string | undefined
  readonly CNI_IFNAME?: string | undefined
}

/**
 * `podwire cnitool add|check|del|gc|status|version NET NETNS`: the same variables, output and exit codes as the Go tool of
 * that name, so that a script can switch. 1 for every failure, usage too; the reason alone on stderr.
 */
async function cnitool(
  [verb = '', network = '', netns]: readonly string[],
  { interface: ifName }: { interface?: string },
  env: CnitoolEnvironment = process.env,
): Promise<number> {
  try {
    const output = await run(verb, network, netns, { ...env, ...(ifName ? { CNI_IFNAME: ifName } : {}) })
    // As Go prints a result: four spaces, and no newline at the end.
    if (output !== undefined) printRaw(JSON.stringify(output, null, 4))
    return 0
  } catch (error) {
    printError(messageOf(error))
    return 1
  }
}

const withNetns = ['add', 'check', 'del']
const withoutNetns = ['gc', 'status', 'version']

async function run(
  verb: string,
  name: string,
  netns: string | undefined,
  env: CnitoolEnvironment,
): Promise<unknown> {
  const isKnown = withNetns.includes(verb) ? netns !== undefined : withoutNetns.includes(verb)
  if (!isKnown || name === '') throw errors.CNITOOL_USAGE()
  const { createCni, loadNetwork } = await import('@podwire/libcni')
  const pluginDirectories = (env.CNI_PATH ?? '').split(delimiter).filter((dir) => dir !== '')
  const cni = createCni({ pluginDirectories })
  const network = await loadNetwork(env.NETCONFPATH || DEFAULT_NETCONFPATH, name)
  const attachment = () => attachmentOf(netns ?? '', env)
  switch (verb) {
    case 'add':
      return cni.add(network, attachment())
    case 'check':
      return cni.check(network, attachment())
    case 'del':
      return cni.del(network, attachment())
    case 'gc':
      return cni.gc(network, [])
    case 'status':
      return cni.status(network)
    default:
      return Object.fromEntries(
        await Promise.all(network.plugins.map(async ({ type }) => [type, await cni.version(type)])),
      )
  }
}

function attachmentOf(given: string, env: CnitoolEnvironment): Attachment {
  const netns = resolve(given)
  const digest = createHash('sha512').update(netns).digest('hex')
  return {
    containerId: `cnitool-${digest.slice(0, 20)}`,
    ifName: env.CNI_IFNAME || 'eth0',
    netns,
    args: parseCniArgs(env.CNI_ARGS ?? ''),
    ...(env.CAP_ARGS ? { capabilityArgs: parseCapabilityArgs(env.CAP_ARGS) } : {}),
  }
}

function parseCniArgs(text: string): [string, string][] {
  if (text === '') return []
  return text.split(';').map((pair) => {
    const [key = '', value, ...rest] = pair.split('=')
    if (key === '' || value === undefined || value === '' || rest.length > 0) {
      throw new Error(`invalid CNI_ARGS pair ${JSON.stringify(pair)}`)
    }
    return [key, value]
  })
}

function parseCapabilityArgs(text: string): JsonObject {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw new Error(`CAP_ARGS is not JSON: ${messageOf(error)}`)
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as JsonObject
  throw new Error(`CAP_ARGS must be a JSON object, not ${text}`)
}
