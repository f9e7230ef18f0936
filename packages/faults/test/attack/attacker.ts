import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { createNetworkHost, type NetworkHost, type NetworkHostOptions } from 'podwire'
import { afterEach, describe } from 'vitest'

export { bin, built, project } from '../../../cli/test/podwire.ts'

/** Like describe, for attacks on a machine that nobody needs; they are skipped, and named, where there is none. */
export const describeAttack = describe.skipIf(!isIsolated())

/** Somebody who may do nothing here. */
export const SOMEBODY = 12_345

export const run = (file: string, ...args: string[]): string =>
  execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

export interface OpenHost {
  readonly stateDir: string
  readonly host: NetworkHost
  /** Another host on the same state directory, as another process would have it. */
  again(options?: NetworkHostOptions): Promise<NetworkHost>
}

/** Hosts with kubenet as a program has them; what they made is taken away after each test. */
export function useHosts(): (options?: {
  podCIDR?: string
  bridge?: string
  stateDir?: string
}) => Promise<OpenHost> {
  const opened: NetworkHost[] = []
  const made: string[] = []

  afterEach(async () => {
    for (const host of opened.splice(0)) {
      await host.prune({ all: true }).catch(() => {})
      await host.close().catch(() => {})
    }
    for (const dir of made.splice(0)) rmSync(dir, { recursive: true, force: true })
    for (const bridge of ['cbr0', 'cbr1']) {
      try {
        run('ip', 'link', 'del', bridge)
      } catch {
        // It was never made.
      }
    }
  })

  return async ({ podCIDR = '10.88.0.0/24', bridge = 'cbr0', stateDir = freshDir() } = {}) => {
    const again = async (options: NetworkHostOptions = {}) => {
      const config = {
        networkPlugin: 'kubenet',
        podCIDR,
        stateDir,
        plugins: { kubenet: { bridge, repairInterval: 0 } },
      }
      const host = await createNetworkHost({ cwd: '/', config, ...options })
      opened.push(host)
      return host
    }
    return { stateDir, host: await again(), again }
  }

  function freshDir() {
    const dir = mkdtempSync('/run/attacked-')
    made.push(dir)
    return join(dir, 'state')
  }
}

export const web = { namespace: 'default', name: 'web' }
