import { DEFAULT_INTERFACE_NAME, type PodInterface } from '@podwire/api'
import type { SandboxRecord } from '@podwire/core'
import type { Interface, PluginResult } from '@podwire/libcni/plugin'
import type { Dns } from './wishes.ts'

/** What the plugin says of the interface that was asked for; undefined where it made another one. */
export function interfaceOf({ pod, status }: SandboxRecord): PodInterface | undefined {
  const name = pod.ifName ?? DEFAULT_INTERFACE_NAME
  const told = status?.interfaces
  if (told) return told.find((one) => one.name === name)
  return { name, ips: status?.ips ?? (status?.ip ? [status.ip] : []) }
}

/** A pod that is set up, in CNI's words. @param dns what the runtime is to write into the pod's resolv.conf */
export function resultOf(record: SandboxRecord, made: PodInterface, dns: Dns | undefined): PluginResult {
  const { name, ips, mac, mtu, host, addresses, routes = [] } = made
  const inside: Interface = {
    name,
    ...(mac === undefined ? {} : { mac }),
    ...(mtu === undefined ? {} : { mtu }),
    sandbox: record.pod.netns,
  }
  const interfaces = host ? [host, inside] : [inside]
  const all = addresses ?? ips.map((ip) => ({ address: `${ip}/${ip.includes(':') ? 128 : 32}` }))
  return {
    interfaces,
    ips: all.map((address) => ({ ...address, interface: interfaces.length - 1 })),
    ...(routes.length > 0
      ? {
          routes: routes.map(({ destination, gateway }) => ({
            dst: destination,
            ...(gateway ? { gw: gateway } : {}),
          })),
        }
      : {}),
    ...(dns ? { dns } : {}),
  }
}
