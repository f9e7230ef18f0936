import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Logger, messageOf } from '@podwire/api'

const sysctls = ['bridge-nf-call-iptables', 'bridge-nf-call-ip6tables']

/**
 * Lets iptables see the traffic that a bridge forwards, which service proxies rely on. A sysctl that can't be set is
 * a warning: a host without bridges is fine without it.
 */
export async function callIptablesForBridges(log: Logger, sysctlDir = '/proc/sys/net/bridge'): Promise<void> {
  const unset = await filterUnset(sysctlDir)
  if (unset.length === 0) return
  await loadModule()
  for (const sysctl of unset) {
    try {
      await writeFile(join(sysctlDir, sysctl), '1\n')
    } catch (error) {
      log.warn(
        `can't set the sysctl net.bridge.${sysctl} to 1, so iptables may not see what bridges forward: ${messageOf(error)}`,
        { sysctl: `net.bridge.${sysctl}` },
      )
    }
  }
}

async function filterUnset(sysctlDir: string): Promise<string[]> {
  const values = await Promise.allSettled(sysctls.map((sysctl) => readFile(join(sysctlDir, sysctl), 'utf8')))
  return sysctls.filter((_, index) => {
    const value = values[index]
    return value?.status !== 'fulfilled' || value.value.trim() !== '1'
  })
}

/** Without the module there are no such sysctls. It may be built in, and so a failure says nothing. */
async function loadModule(): Promise<void> {
  const { execFile } = await import('node:child_process')
  await new Promise<void>((resolve) => {
    execFile('modprobe', ['br-netfilter'], { timeout: 10_000 }, () => resolve())
  })
}
