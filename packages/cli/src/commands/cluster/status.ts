import type { Command } from 'commander'
import { command, type Does } from '../../command.ts'
import { loadConfiguration } from '../../configuration.ts'
import type { GlobalFlags, JsonFlag } from '../../flags.ts'
import { formerPods, printFormerPods } from '../../former-pods.ts'
import { withHost } from '../../host.ts'
import { print, printJson, printNote } from '../../output.ts'
import { addressesOf } from '../../pod.ts'

export const statusCommand = (does: Does): Command =>
  command('status', 'show what this node has of the cluster', 'podwire cluster status')
    .option('--json', 'print JSON')
    .action(does(showStatus))

/** By what the daemon keeps of it, so that it answers while etcd is away. Exits with 1 while this node has no pod CIDR. */
async function showStatus({ json = false, ...flags }: GlobalFlags & JsonFlag): Promise<number> {
  const { config } = await loadConfiguration(flags)
  const { bootId, bootTime, describeDuration, otherLength, readMemberRecord } = await import(
    '@podwire/cluster'
  )
  const record = readMemberRecord(config.stateDir)
  if (!record || record.bootId !== bootId()) {
    if (json) printJson({ state: 'none' })
    else if (config.cluster && !config.cluster.etcd)
      printNote('nothing is leased here: the configuration names no etcd. See podwire status')
    else {
      const next = config.cluster
        ? 'start one with podwire daemon'
        : 'name etcd in the configuration, as cluster.etcd.endpoints, and start podwire daemon'
      printNote(`no daemon of ${config.stateDir} has joined a cluster since the machine was started: ${next}`)
    }
    return 1
  }
  const { state, reason, nodeName, publicIP, publicIPv6, lease } = record
  const leftMs = lease?.endsAt === undefined ? undefined : Math.max(0, lease.endsAt - bootTime())
  const isJoined = state === 'joined' && leftMs !== 0
  const podCIDR = isJoined ? lease?.podCIDR : undefined
  const begunForMs = lease?.ttl === undefined ? undefined : lease.ttl * 1_000
  const leaseTTL = config.cluster?.leaseTTL
  const pods = podCIDR === undefined ? [] : await podsOf(flags)
  if (json) {
    printJson({
      state: isJoined ? state : state === 'joined' ? 'ended' : state,
      nodeName,
      publicIP,
      publicIPv6,
      podCIDR,
      endsInMs: isJoined ? leftMs : undefined,
      begunForMs: isJoined ? begunForMs : undefined,
      reason,
      formerPods: formerPods(pods, podCIDR ?? '').map((one) => ({
        namespace: one.pod.namespace,
        name: one.pod.name,
        ips: addressesOf(one),
      })),
    })
  } else {
    const address = publicIP ?? publicIPv6
    const where = address === undefined ? '' : ` at ${address}`
    const until =
      leftMs === undefined ? 'reserved for it' : `for ${describeDuration(leftMs)} more, unless it is renewed`
    print(
      isJoined
        ? `node ${nodeName}${where} has ${podCIDR}, ${until}`
        : `node ${nodeName}${where} has no pod CIDR`,
    )
    if (reason !== undefined) printNote(reason)
    if (
      podCIDR !== undefined &&
      begunForMs !== undefined &&
      leaseTTL !== undefined &&
      begunForMs !== leaseTTL
    )
      printNote(otherLength(podCIDR, { begunForMs, leaseTTL }))
    printFormerPods(pods, podCIDR ?? '')
  }
  return isJoined ? 0 : 1
}

const podsOf = (flags: GlobalFlags) =>
  withHost(flags, (host) => host.pods(), { lenient: true, recover: false })
