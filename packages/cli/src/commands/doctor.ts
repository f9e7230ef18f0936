import { accessSync, constants, readFileSync } from 'node:fs'
import { release } from 'node:os'
import { delimiter, join } from 'node:path'
import { messageOf } from '@podwire/api'
import { createNetworkHost, namespaceAt } from '@podwire/core'
import { loadConfiguration } from '../configuration.ts'
import type { GlobalFlags } from '../flags.ts'
import { formatTable } from '../table.ts'
import { hostOptions } from '../with-host.ts'

interface Finding {
  readonly check: string
  /** `missing` hinders only what needs it; `failed` hinders everything. */
  readonly result: 'ok' | 'missing' | 'failed'
  /** What was found, or what to do. */
  readonly say: string
}

/** `podwire doctor`; exits with 1 when something failed. */
export async function doctor(flags: GlobalFlags, { json = false }: { json?: boolean }): Promise<number> {
  const findings = [
    kernel(),
    await native(),
    privileges(),
    tool('nft', 'for firewalls that you want to look at', 'nftables'),
    tool('ip', 'for exec plugins, and for addresses that a plugin does not tell', 'iproute2'),
    tool('/usr/lib/cni/bridge', 'for CNI configurations', 'containernetworking-plugins'),
    await configuration(flags),
    await plugin(flags),
  ]
  if (json) console.log(JSON.stringify(findings))
  else
    console.log(
      formatTable([['CHECK', 'RESULT', ''], ...findings.map((one) => [one.check, one.result, one.say])]),
    )
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
    await namespaceAt('/proc/self/ns/net')
    return { check: 'native calls', result: 'ok', say: 'the kernel can be called from this process' }
  } catch (error) {
    return { check: 'native calls', result: 'failed', say: messageOf(error) }
  }
}

const CAP_NET_ADMIN = 12n
const CAP_SYS_ADMIN = 21n

function privileges(): Finding {
  const check = 'privileges'
  const text = /^CapEff:\s*([0-9a-f]+)$/m.exec(readIfThere('/proc/self/status'))?.[1] ?? '0'
  const effective = BigInt(`0x${text}`)
  const has = (capability: bigint) => ((effective >> capability) & 1n) === 1n
  if (has(CAP_NET_ADMIN) && has(CAP_SYS_ADMIN))
    return { check, result: 'ok', say: 'CAP_NET_ADMIN and CAP_SYS_ADMIN' }
  return { check, result: 'failed', say: 'run as root, or in namespaces of your own: unshare -rnm' }
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
    const host = await createNetworkHost({ ...(await hostOptions(flags)), recover: false })
    const readiness = await host.status()
    await host.close()
    const name = host.plugin.manager.name
    return readiness.ready
      ? { check, result: 'ok', say: `${name} is ready` }
      : { check, result: 'failed', say: `${name}: ${readiness.reason}` }
  } catch (error) {
    const errors = error instanceof AggregateError ? error.errors : [error]
    return { check, result: 'failed', say: errors.map(messageOf).join('; ') }
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
