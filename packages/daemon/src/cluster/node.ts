import { existsSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type Logger, messageOf, PEER_PODS_CHANGE, type PeerPodsChange } from '@podwire/api'
import type { Cluster, ClusterEvent } from '@podwire/cluster'
import type { ClusterConfig, LoadedConfig } from '@podwire/core'
import { errors } from '../errors.ts'
import type { ReloadableHost } from '../reloadable-host.ts'
import { withShare } from './overlay.ts'
import { tellOwnPods } from './own-pods.ts'

/** The daemon's part in a cluster. */
export interface ClusterNode {
  /** A configuration with what this node has of the cluster now. @throws PodwireError `CLUSTER_CHANGED` */
  overlay(loaded: LoadedConfig): LoadedConfig
  /** The host, which takes no new pods while their addresses would not be this node's. */
  gate(host: ReloadableHost): ReloadableHost
  /** Has the host take what changes from now on. @param reload reads the configuration again, by {@link overlay} */
  follow(host: ReloadableHost, reload: () => Promise<void>): void
  stop(): Promise<void>
}

/**
 * Joins the cluster that the configuration names: undefined where it names none. Resolves when this node has its pod CIDR, or can't
 * have one now, and goes on trying.
 */
export async function joinAsConfigured(
  { config }: LoadedConfig,
  log: Logger,
): Promise<ClusterNode | undefined> {
  const { cluster: settings, stateDir } = config
  if (!settings) return undefined
  let tell: (event: ClusterEvent) => Promise<void> | void = () => {}
  let tellPeers: (change: PeerPodsChange) => Promise<void> | void = () => {}
  /** Has the host take what it could not take. */
  let retry: NodeJS.Timeout | undefined
  let own: { stop(): void } | undefined
  const cluster = await join(settings, {
    log,
    stateDir,
    onEvent: (event) => tell(event),
    ...(settings.sharePods ? { onPeerPods: (change) => tellPeers(change) } : {}),
  })
  /** What it has, or had last: while it is fenced its plugin goes on by that. */
  let share = cluster.share

  /** Why a pod can't be given an address at this moment. */
  const refusal = (podCIDR: string): string | undefined => {
    if (!cluster.holds()) return cluster.problem ?? 'it has not joined yet'
    if (cluster.share?.podCIDR === podCIDR) return undefined
    return `its pod CIDR changes to ${cluster.share?.podCIDR}, which its network plugin has not taken yet`
  }

  return {
    overlay(loaded) {
      if (!isDeepStrictEqual(loaded.config.cluster, settings)) throw errors.CLUSTER_CHANGED()
      share = cluster.share ?? share
      return withShare(loaded, share)
    },
    gate: (host) => ({
      ...host,
      // What a spread would read once.
      get configuration() {
        return host.configuration
      },
      get catalog() {
        return host.catalog
      },
      setUpPod: async (pod, options) => {
        const { podCIDR } = host.configuration.config
        const wasThere = (await host.pod(pod)) !== undefined
        const reason = refusal(podCIDR)
        // A pod that is there keeps its address, and may be mended.
        if (reason !== undefined && !wasThere) throw errors.NOT_IN_CLUSTER({ reason })
        const record = await host.setUpPod(pod, options)
        const since = refusal(podCIDR)
        if (since === undefined || wasThere) return record
        // Its address may be another node's by now.
        await host.tearDownPod(pod)
        throw errors.NOT_IN_CLUSTER({ reason: since })
      },
      status: async () => {
        const reason = refusal(host.configuration.config.podCIDR)
        return reason === undefined
          ? host.status()
          : { ready: false, reason: errors.NOT_IN_CLUSTER({ reason }).message }
      },
    }),
    follow(host, reload) {
      const { events } = host
      const taken = (podCIDR: string) => events.emit('cluster:joined', { podCIDR })
      const isTaken = (podCIDR: string) => host.configuration.config.podCIDR === podCIDR
      let failures = 0
      const take = async (podCIDR: string): Promise<void> => {
        const isNew = !isTaken(podCIDR)
        // The plugin is started by the new one, and pods of the old one stay.
        await reload()
        if (!isTaken(podCIDR)) {
          // Nobody else would try: whoever wrote the configuration has nothing to change.
          const waitMs = Math.min(60_000, 1_000 * 2 ** failures++)
          retry = setTimeout(() => {
            if (cluster.share?.podCIDR === podCIDR && !isTaken(podCIDR)) void take(podCIDR)
          }, waitMs).unref()
          return
        }
        failures = 0
        if (isNew) events.emit('pod-cidr-change', { 'pod-cidr': podCIDR })
        taken(podCIDR)
      }
      tell = async (event) => {
        if (event.event === 'fenced') events.emit('cluster:fenced', { reason: event.reason })
        else if (event.event === 'repaired') events.emit('cluster:repaired', { what: event.what })
        else if (event.event === 'refused') events.emit('cluster:refused', { what: event.what })
        else {
          clearTimeout(retry)
          await take(event.share.podCIDR)
        }
      }
      const { share, pods } = cluster
      if (pods) {
        tellPeers = (change) => host.event(PEER_PODS_CHANGE, { ...change })
        own = tellOwnPods(host, pods, settings.sharedAnnotations, log)
        // What is started anew knows nothing, unless it wrote it down.
        events.on('configuration:changed', pods.repeat)
        events.on('plugin:restarted', pods.repeat)
        pods.repeat()
      } else void forgetPeers(host, log)
      if (!share) return
      if (isTaken(share.podCIDR)) taken(share.podCIDR)
      else void tell({ event: 'joined', share })
    },
    stop: () => {
      clearTimeout(retry)
      own?.stop()
      return cluster.stop({ release: settings.releaseOnStop })
    },
  }
}

/** Where nobody tells of other nodes' pods, those that the plugin heard of once are nobody's. */
async function forgetPeers(host: ReloadableHost, log: Logger): Promise<void> {
  try {
    await host.event(PEER_PODS_CHANGE, { all: [], changed: [] })
  } catch (error) {
    log.warn(`cluster: the network plugin does not forget other nodes' pods: ${messageOf(error)}`)
  }
}

/** The same for a node that was part of a cluster once; nor does its kernel keep pods from what was the cluster's network. */
export async function forgetCluster(host: ReloadableHost, log: Logger): Promise<void> {
  const { stateDir } = host.configuration.config
  // Of most hosts there is none, and what a cluster takes is not loaded.
  if (!existsSync(joinPath(stateDir, 'cluster'))) return
  await forgetPeers(host, log)
  const { removeLeaseGuard, removeVxlanGuard } = await import('@podwire/cluster')
  await removeLeaseGuard(log)
  await removeVxlanGuard(log)
}

async function join(
  settings: ClusterConfig,
  {
    onPeerPods,
    ...context
  }: {
    readonly log: Logger
    readonly stateDir: string
    readonly onEvent: (event: ClusterEvent) => Promise<void> | void
    readonly onPeerPods?: (change: PeerPodsChange) => Promise<void> | void
  },
): Promise<Cluster> {
  // Few hosts are part of a cluster.
  const { joinCluster, joinKubernetes, joinStatic, readEtcdOptions, readKubernetesAccess } = await import(
    '@podwire/cluster'
  )
  const {
    etcd,
    kubernetes,
    static: nodes,
    nodeName,
    publicIP,
    publicIPv6,
    interface: link,
    leaseTTL,
    renewBefore,
  } = settings
  const backend = settings.backend ?? { type: 'vxlan', vni: 1, port: 8472, directRouting: true }
  if (kubernetes) {
    const { kubeconfig, clusterCIDR } = kubernetes
    const access = await readKubernetesAccess(kubeconfig)
    const underlay = { publicIP, publicIPv6, interface: link }
    return joinKubernetes({ ...context, ...underlay, access, nodeName, clusterCIDR, backend })
  }
  if (!etcd) return joinStatic({ ...context, nodes: nodes ?? [], nodeName, interface: link, backend })
  return joinCluster({
    ...context,
    etcd: { ...readEtcdOptions(etcd), prefix: etcd.prefix },
    nodeName,
    publicIP,
    publicIPv6,
    interface: link,
    leaseTtl: leaseTTL / 1_000,
    renewBefore: renewBefore / 1_000,
    ...(onPeerPods ? { onPeerPods } : {}),
  })
}
