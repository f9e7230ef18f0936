export {
  type Bandwidth,
  bandwidthOf,
  EGRESS_BANDWIDTH_ANNOTATION,
  INGRESS_BANDWIDTH_ANNOTATION,
  parseBandwidth,
} from './bandwidth.ts'
export {
  Capability,
  type CapabilityName,
  capabilitySet,
  describeCapabilities,
  hasCapabilities,
  missingCapabilities,
  NET_PLUGIN_CAPABILITY_SHAPING,
} from './capabilities.ts'
export { type CIDR, parseCIDR, parsePodCIDR } from './cidr.ts'
export * from './constants.ts'
export { definePlugin, type PluginModule, type ProbeContext } from './define-plugin.ts'
export { parseDuration } from './duration.ts'
export { type ErrorJson, errorFromJson, errorToJson } from './error-json.ts'
export {
  defineErrors,
  describeValue,
  type ErrorEntry,
  type ErrorFactories,
  errnoOf,
  ignoring,
  isPodwireError,
  messageOf,
  PodwireError,
  type PodwireErrorInit,
  printable,
} from './errors.ts'
export {
  type AllowedFlow,
  type ClosedFlow,
  type DeniedFlow,
  FLOW_ALLOWED,
  FLOW_CLOSED,
  FLOW_DENIED,
  FLOW_LOST,
  FLOWS_WANTED,
  type FlowTraffic,
} from './flow.ts'
export type { Logger } from './logger.ts'
export {
  escapePluginName,
  isQualifiedName,
  packageNameOfPlugin,
  pluginNameOfPackage,
  qualifiedNameProblems,
  unescapePluginName,
} from './names.ts'
export { once } from './once.ts'
export { PEER_PODS_CHANGE, type PeerNode, type PeerPod, type PeerPodsChange } from './peer-pods.ts'
export type {
  EventDetails,
  HairpinMode,
  Host,
  InitOptions,
  LegacyHost,
  NamespaceGetter,
  NetworkPlugin,
  PortMappingGetter,
} from './plugin.ts'
export {
  type InterfaceAddress,
  type InterfaceRoute,
  type Pod,
  type PodInterface,
  type PodNetworkStatus,
  type PodRef,
  type PortMapping,
  podKey,
  podRef,
} from './pod.ts'
export { type Execer, type GetPodIPOptions, getPodIP, getPodIPs } from './pod-ip.ts'
export {
  METADATA_ADDRESSES,
  type PodSelector,
  type Policy,
  type PolicyRule,
  type PolicySetName,
  type PolicySide,
} from './policy.ts'
export type { StandardIssue, StandardResult, StandardSchema } from './standard-schema.ts'
