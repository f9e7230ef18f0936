import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { hasMachineUsers } from '@podwire/api/files'
import { isIsolated } from '@podwire/testing'
import { createNetworkHost, type NetworkHost, type NetworkHostOptions } from 'podwire'
import { afterEach, describe } from 'vitest'
import type { DatapathName } from '../../src/checker/observed.ts'
import { cleanNetwork } from '../../src/machine/clean.ts'

/** Like describe, for attacks on a machine that nobody needs; they are skipped, and named, where there is none. */
export const describeAttack = describe.skipIf(!isIsolated())

/** As much of each attack as the one that found something, instead of what time allows: `npm run test:faults`. */
export const isAll = process.env.PODWIRE_FAULTS === 'all'

/** Root of a user namespace has no other user there. */
export const hasOtherUsers = hasMachineUsers()

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

export const datapathNames: readonly DatapathName[] = ['routed', 'bridge']

export interface HostOptions {
  readonly datapath?: DatapathName
  readonly podCIDR?: string
  readonly bridge?: string
  readonly stateDir?: string
}

/** Hosts with kubenet as a program has them; what they made is taken away after each test. */
export function useHosts(): (options?: HostOptions) => Promise<OpenHost> {
  const opened: NetworkHost[] = []
  const made: string[] = []

  afterEach(async () => {
    for (const host of opened.splice(0)) {
      await host.prune({ all: true }).catch(() => {})
      await host.close().catch(() => {})
    }
    for (const dir of made.splice(0)) rmSync(dir, { recursive: true, force: true })
    await cleanNetwork()
  })

  return async ({
    datapath = 'routed',
    podCIDR = '10.88.0.0/24',
    bridge = 'cbr0',
    stateDir = freshDir(),
  } = {}) => {
    const again = async (options: NetworkHostOptions = {}) => {
      const config = {
        networkPlugin: 'kubenet',
        podCIDR,
        stateDir,
        plugins: { kubenet: { datapath, bridge, repairInterval: 0 } },
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
