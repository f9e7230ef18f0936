export type {
  Cluster,
  ClusterContext,
  ClusterEvent,
  ClusterPods,
  ClusterShare,
  OwnPod,
  PeerStatus,
} from './cluster.ts'
export { describeDuration } from './describe-duration.ts'
export { type Etcd, type EtcdOptions, openEtcd } from './etcd/client.ts'
export { type EtcdFiles, readEtcdOptions } from './etcd/files.ts'
export { type JoinOptions, joinCluster } from './join.ts'
export { type KubernetesAccess, readKubernetesAccess } from './kubernetes/access.ts'
export { joinKubernetes, type KubernetesOptions } from './kubernetes.ts'
export { DEFAULT_PREFIX, type Keys, keysOf } from './layout/keys.ts'
export type { NodeValue } from './layout/lease-value.ts'
export {
  type Backend,
  type ClusterNetwork,
  type NewNetwork,
  networksOf,
  type PlainBackend,
  vxlanDefaults,
} from './layout/network.ts'
export type { SharedPod } from './layout/pod-record.ts'
export { type PodSubnets, podCIDROf } from './layout/pod-subnets.ts'
export {
  type WireguardBackend,
  type WireguardMode,
  wireguardDefaults,
  wireguardModes,
} from './layout/wireguard-backend.ts'
export { bootId, bootTime } from './leases/clock.ts'
export type { LeaseEntry } from './leases/entry.ts'
export { type MemberRecord, readMemberRecord } from './leases/member-file.ts'
export { readNetwork, writeNetwork } from './leases/network.ts'
export { otherLength } from './leases/other-length.ts'
export { describeOwner, listLeases, releaseLease, reserveLease } from './leases/release.ts'
export { removeLeaseGuard } from './routes/lease-guard.ts'
export { removeVxlanGuard } from './routes/vxlan-guard.ts'
export { joinStatic, type StaticNode, type StaticOptions } from './static.ts'
