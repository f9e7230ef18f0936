/** Resolver settings, in every version. */
export interface Dns {
  readonly nameservers?: readonly string[]
  readonly domain?: string
  readonly search?: readonly string[]
  readonly options?: readonly string[]
}

/** A route of versions before 1.1.0. */
export interface BasicRoute {
  /** CIDR: `0.0.0.0/0` */
  readonly dst: string
  readonly gw?: string
}

export interface Route extends BasicRoute {
  /** Bytes. */
  readonly mtu?: number
  /** Bytes. */
  readonly advmss?: number
  readonly priority?: number
  readonly table?: number
  readonly scope?: number
}

/** An interface of versions 0.3.0 to 1.0.0. */
export interface BasicInterface {
  readonly name: string
  readonly mac?: string
  /** Path of the network namespace; absent for an interface of the host. */
  readonly sandbox?: string
}

export interface Interface extends BasicInterface {
  /** Bytes. */
  readonly mtu?: number
  readonly socketPath?: string
  readonly pciID?: string
}

export interface IpConfig {
  /** CIDR: `10.1.0.5/16` */
  readonly address: string
  readonly gateway?: string
  /** Index into `interfaces`. */
  readonly interface?: number
}

/** 1.1.0: what this library works with; every other version converts to it and from it. */
export interface Result {
  readonly cniVersion: '1.1.0'
  readonly interfaces?: readonly Interface[]
  readonly ips?: readonly IpConfig[]
  readonly routes?: readonly Route[]
  readonly dns?: Dns
}

/** 1.0.0 */
export interface Result100 {
  readonly cniVersion: '1.0.0'
  readonly interfaces?: readonly BasicInterface[]
  readonly ips?: readonly IpConfig[]
  readonly routes?: readonly BasicRoute[]
  readonly dns?: Dns
}

/** 0.3.0, 0.3.1 and 0.4.0 */
export interface Result040 {
  readonly cniVersion: '0.3.0' | '0.3.1' | '0.4.0'
  readonly interfaces?: readonly BasicInterface[]
  readonly ips?: readonly (IpConfig & { readonly version: '4' | '6' })[]
  readonly routes?: readonly BasicRoute[]
  readonly dns: Dns
}

/** The one address of a family in 0.1.0 and 0.2.0. */
export interface IpConfig020 {
  /** CIDR */
  readonly ip: string
  readonly gateway?: string
  readonly routes?: readonly BasicRoute[]
}

/** 0.1.0 and 0.2.0 */
export interface Result020 {
  readonly cniVersion: '0.1.0' | '0.2.0'
  readonly ip4?: IpConfig020
  readonly ip6?: IpConfig020
  readonly dns: Dns
}

export type AnyResult = Result | Result100 | Result040 | Result020

/** The result type of a version. */
export type ResultOf<Version extends AnyResult['cniVersion']> = Version extends '1.1.0'
  ? Result
  : Version extends '1.0.0'
    ? Result100
    : Version extends '0.1.0' | '0.2.0'
      ? Result020
      : Result040
