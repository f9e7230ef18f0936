import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '@podwire/api'
import type { LocalNetworkHost } from '@podwire/core'
import { CniCode, type CniError, pluginError } from '@podwire/libcni/plugin'
import { hasCode } from './cni-error.ts'

/** Runtimes ask twice a second, and wait. Milliseconds. */
const withinMs = 80

/** Whether pods can be attached, as STATUS has it. */
export interface DoorStatus {
  /** @throws CniError 50, or 51 where the pods that are there lack something too */
  assertReady(): Promise<void>
  /** Told how each ADD ended. */
  noteAttached(error?: unknown): void
  noteDetached(): void
}

export function createDoorStatus(host: LocalNetworkHost): DoorStatus {
  let isPluginDown = false
  let isExhausted = false
  host.events.on('plugin:crashed', () => {
    isPluginDown = true
  })
  host.events.on('plugin:quarantined', () => {
    isPluginDown = true
  })
  for (const event of ['plugin:restarted', 'plugin:ready'] as const)
    host.events.on(event, () => {
      isPluginDown = false
    })
  host.events.on('pod:teardown:done', () => {
    isExhausted = false
  })

  return {
    async assertReady() {
      const stop = new AbortController()
      const late = sleep(withinMs, 'late' as const, { signal: stop.signal }).catch(() => 'late' as const)
      const answer = await Promise.race([late, reasonOf(host)])
      stop.abort()
      const reason =
        answer === 'late'
          ? `the network plugin has not said within ${withinMs} ms whether it is ready`
          : answer?.reason
      if (reason !== undefined) throw notReady(reason, isPluginDown)
      if (isExhausted) throw notReady('all addresses of the pod CIDR are in use', false)
    },
    noteAttached(error) {
      isExhausted = error !== undefined && hasCode(error, 'ADDRESSES_EXHAUSTED')
    },
    noteDetached() {
      isExhausted = false
    },
  }
}

async function reasonOf(host: LocalNetworkHost): Promise<{ reason: string } | undefined> {
  try {
    const readiness = await host.status()
    return readiness.ready ? undefined : { reason: readiness.reason }
  } catch (error) {
    return { reason: messageOf(error) }
  }
}

// The rules of pods that are up stay in the kernel; what the plugin's process does for them, such as names, is missing.
const notReady = (reason: string, isPluginDown: boolean): CniError =>
  isPluginDown
    ? pluginError(CniCode.limitedConnectivity, reason, 'the process of the network plugin is down')
    : pluginError(CniCode.notAvailable, reason)
