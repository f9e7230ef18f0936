/** Where everything is below the prefix: the first two are flannel's, the others are Podwire's own. */
export interface Keys {
  readonly config: string
  /** What the keys of all leases begin with. */
  readonly subnets: string
  /** When each subnet was last leased, which etcd forgets with the lease: by the revision of the key. */
  readonly used: string
  /** What the keys of all nodes' pods begin with: the subnets of the node come next, then the pod's names. */
  readonly pods: string
}

export const DEFAULT_PREFIX = '/coreos.com/network'

export function keysOf(prefix: string): Keys {
  const root = prefix.replace(/\/+$/, '')
  return {
    config: `${root}/config`,
    subnets: `${root}/subnets/`,
    used: `${root}/used/`,
    pods: `${root}/pods/`,
  }
}
