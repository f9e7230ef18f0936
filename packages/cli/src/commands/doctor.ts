import { accessSync, constants } from 'node:fs'
import { release } from 'node:os'
import { delimiter, join } from 'node:path'
import { messageOf, parseCIDR } from '@podwire/api'
import { command, type DefineCommand } from '../command.ts'
import { loadConfiguration } from '../configuration.ts'
import type { GlobalFlags, JsonFlag } from '../flags.ts'
import { withHost } from '../host.ts'
import { explain, nameServersFor } from '../name-servers.ts'
import { networks } from '../networks.ts'
import { printJson, printTable } from '../output.ts'
import { isPrivileged, PRIVILEGES_NEEDED } from '../privileges.ts'
import { interrupted, unlessInterrupted } from '../signals.ts'

const define: DefineCommand = (does) =>
  command(
    'doctor',
    'check that this machine can do it, and say what to do where it can not',
    'podwire doctor',
  )
    .option('--json', 'print JSON')
    .action(does(doctor))
export default define

interface Finding {
  readonly check: string
  /** `missing` hinders only what needs it; `failed` hinders everything. */
  readonly result: 'ok' | 'missing' | 'failed'
  /** What was found, or what to do. */
  readonly say: string
}

/** Exits with 1 when something failed. Looks, and touches nothing. */
async function doctor({ json = false, ...flags }: GlobalFlags & JsonFlag): Promise<number> {
  const findings = [
    kernel(),
    await native(),
    privileges(),
    tool('nft', 'for firewalls that you want to look at', 'nftables'),
    tool('ip', 'for exec plugins, and for addresses that a plugin does not tell', 'iproute2'),
    tool('/usr/lib/cni/bridge', 'for CNI configurations', 'containernetworking-plugins'),
    await nameServers(flags),
    await configuration(flags),
    await plugin(flags),
  ]
  if (json) printJson(findings)
  else printTable([['CHECK', 'RESULT', ''], ...findings.map((one) => [one.check, one.result, one.say])])
  return findings.some(({ result }) => result === 'failed') ? 1 : 0
}

function kernel(): Finding {
  if (process.platform === 'linux') return { check: 'kernel', result: 'ok', say: `Linux ${release()}` }
  return {
    check: 'kernel',
    result: 'failed',
    say: `${process.platform}: network namespaces are Linux's; run it there`,
  }
}

async function native(): Promise<Finding> {
  try {
    const { netnsId } = await import('@podwire/netlink/netns')
    netnsId('/proc/self/ns/net')
    return { check: 'native calls', result: 'ok', say: 'the kernel can be called from this process' }
  } catch (error) {
    return { check: 'native calls', result: 'failed', say: messageOf(error) }
  }
}

function privileges(): Finding {
  const check = 'privileges'
  return isPrivileged()
    ? { check, result: 'ok', say: 'CAP_NET_ADMIN and CAP_SYS_ADMIN' }
    : { check, result: 'failed', say: PRIVILEGES_NEEDED }
}

async function nameServers(flags: GlobalFlags): Promise<Finding> {
  const check = 'name servers'
  const found = nameServersFor([])
  if (found.kind === 'none') return { check, result: 'missing', say: explain(found) }
  const config = await loadConfiguration(flags)
    .then(({ config }) => config)
    .catch(() => undefined)
  const direct = config?.networkPlugin === 'kubenet' ? config.nonMasqueradeCIDR : ''
  const isDirect = networks(direct.split(',').flatMap((cidr) => parseCIDR(cidr.trim()) ?? []))
  const seeing = found.servers.filter(isDirect)
  if (seeing.length === 0) return { check, result: 'ok', say: explain(found) }
  const say = `${explain(found)}; ${seeing.join(', ')} in nonMasqueradeCIDR ${direct} sees pods' own addresses: without a way back to them it does not answer. Name the pods' range alone there`
  return { check, result: 'missing', say }
}

function tool(command: string, what: string, debianPackage: string): Finding {
  const path = findCommand(command)
  const check = command.split('/').at(-1) ?? command
  if (path) return { check, result: 'ok', say: path }
  return { check, result: 'missing', say: `needed ${what}: apt-get install ${debianPackage}` }
}

function findCommand(command: string): string | undefined {
  const dirs = command.startsWith('/')
    ? ['']
    : [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return dirs
    .map((dir) => join(dir, command))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

async function configuration(flags: GlobalFlags): Promise<Finding> {
  const check = 'configuration'
  try {
    const { file, dir } = await loadConfiguration(flags)
    return {
      check,
      result: 'ok',
      say: file ?? `none from ${dir} upwards; what podwire init writes holds`,
    }
  } catch (error) {
    return { check, result: 'failed', say: messageOf(error) }
  }
}

async function plugin(flags: GlobalFlags): Promise<Finding> {
  const check = 'network plugin'
  try {
    return await withHost(
      flags,
      async (host, { networkPlugin: name }) => {
        const readiness = await unlessInterrupted(host.status())
        return readiness.ready
          ? { check, result: 'ok', say: `${name} is ready` }
          : { check, result: 'failed', say: `${name}: ${readiness.reason}` }
      },
      { recover: false },
    )
  } catch (error) {
    interrupted.throwIfAborted()
    const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error]
    return { check, result: 'failed', say: errors.map(messageOf).join('; ') }
  }
}
