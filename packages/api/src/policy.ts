/**
 * What a pod may reach, and who may reach it. A side that is absent leaves everything as it is without a policy. Answers to
 * what is allowed always pass.
 */
export interface Policy {
  /** What the pod may reach. */
  readonly egress?: PolicySide
  /** Who may reach the pod. */
  readonly ingress?: PolicySide
}

/** What `deny` names is denied, else what `allow` names is allowed; `default` decides on all else. */
export interface PolicySide {
  readonly default: 'allow' | 'deny'
  /** Only where the default is to deny. */
  readonly allow?: readonly PolicyRule[]
  readonly deny?: readonly PolicyRule[]
}

/** One rule: whom it is about, one of `host`, `cidr`, `pod`, `gateway`, `published` and `set`, or everybody; and which traffic. */
export interface PolicyRule {
  /** By name, of egress alone: `registry.npmjs.org`, or `*.npmjs.org` for all names below that one. */
  readonly host?: string
  /** Addresses: `10.1.0.0/16`. */
  readonly cidr?: string
  /** What of the CIDR the rule is not about. */
  readonly except?: readonly string[]
  /** `namespace/name`, with `*` for any; or those that agree with a selector. */
  readonly pod?: string | PodSelector
  /** The host itself, by whichever of its addresses. */
  readonly gateway?: true
  /** Of ingress alone: who comes by a port that the pod publishes. */
  readonly published?: true
  /** Addresses that are known by what they are for. */
  readonly set?: PolicySetName
  /** Ports of whoever is connected to: `443`, `'8000-8100'`; absent: all. Of TCP and UDP, unless there is a protocol. */
  readonly ports?: readonly (number | string)[]
  /** Absent: all, of whatever number; with ports TCP and UDP. */
  readonly protocol?: 'tcp' | 'udp' | 'sctp' | 'icmp'
}

/** Pods that agree with all that is given. */
export interface PodSelector {
  readonly namespace?: string
  readonly annotations?: Readonly<Record<string, string>>
}

/**
 * Where clouds tell machines who they are, and give them credentials: of Amazon's, its containers' and Kubernetes', Google's,
 * Alibaba's, Azure's.
 */
export const METADATA_ADDRESSES: readonly string[] = [
  '169.254.169.254',
  'fd00:ec2::254',
  '169.254.170.2',
  '169.254.170.23',
  'fd00:ec2::23',
  'fd20:ce::254',
  '100.100.100.200',
  '168.63.129.16',
]

/** `dns`: port 53 of everybody; `metadata`: {@link METADATA_ADDRESSES}. */
export type PolicySetName = 'dns' | 'metadata'
