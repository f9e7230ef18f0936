import type { Bandwidth, PortMapping } from '@podwire/api'
import type { PodRequest } from '@podwire/core'
import type { DatapathSettings } from '../checker/datapath/datapath.ts'
import type { MachineModel } from '../checker/model.ts'
import type { DatapathName } from '../checker/observed.ts'
import { type PolicyName, policies } from './policies.ts'

/** What of a pod is changed by setting it up again. */
export interface Settings {
  readonly ports: readonly PortMapping[]
  readonly bandwidth: Bandwidth
  readonly policy?: PolicyName
}

/** What is known of a pod that is up. */
interface PodState {
  settings: Settings
  /** How it was connected. */
  datapath: DatapathName
  isDamaged: boolean
  /** The process that it ends with. */
  owner?: number | undefined
}

/** A state directory, its pods by name. */
export interface Place extends DatapathSettings {
  readonly namespace: string
  readonly stateDir: string
  readonly podCIDR: string
  datapath: DatapathName
  readonly pods: Map<string, PodState>
  readonly damaged: Set<'network' | 'firewall'>
  isFull: boolean
  /** What pods share in the host's data path was never made: to make it for the first time takes room on the disk. */
  isUnmade: boolean
}

/** What the machine should be: two state directories, which three host processes work on. */
export interface State {
  readonly places: readonly [Place, Place]
}

/** The place that each host process works on: two share one. */
export const placeOf = ({ places: [first, second] }: State, seat: number): Place =>
  seat < 2 ? first : second
export const SEATS = 3

/** The host processes that work on the place of this one. */
export const seatsBeside = (seat: number): readonly number[] => (seat < 2 ? [0, 1] : [2])

export function freshState(root: string, datapath: DatapathName): State {
  const place = (letter: string, podCIDR: string, bridge: string, gateways: readonly string[]): Place => ({
    namespace: letter,
    stateDir: `${root}/${letter}`,
    podCIDR,
    datapath,
    bridge,
    gateways,
    pods: new Map(),
    damaged: new Set(),
    isFull: false,
    isUnmade: true,
  })
  return {
    places: [
      place('a', '10.88.0.0/24,fd88::/64', 'cbr0', ['10.88.0.1/24', 'fd88::1/64']),
      place('b', '10.89.0.0/24', 'cbr1', ['10.89.0.1/24']),
    ],
  }
}

/** Whether anything of its pods, or of what they share, was damaged, and nothing since had to put it back. */
export const isDamaged = ({ damaged, pods }: Place): boolean =>
  damaged.size > 0 || [...pods.values()].some((pod) => pod.isDamaged)

/** As the checker wants it. */
export function machineModel({ places }: State, isTidy: boolean): MachineModel {
  return {
    hosts: places.map(({ pods, ...place }) => ({
      ...place,
      isTidy,
      pods: [...pods].map(([name, { settings, isDamaged }]) => ({
        namespace: place.namespace,
        name,
        ports: settings.ports,
        bandwidth: settings.bandwidth,
        policy: settings.policy && policies[settings.policy],
        isDamaged,
      })),
    })),
  }
}

const annotationOf = { ingress: 'kubernetes.io/ingress-bandwidth', egress: 'kubernetes.io/egress-bandwidth' }

export function requestFor(place: Place, name: string, { ports, bandwidth, policy }: Settings): PodRequest {
  const annotations = Object.entries(bandwidth).map(([way, bits]) => [
    annotationOf[way as keyof Bandwidth], // a bandwidth has these two keys
    `${bits / 1_000_000}M`,
  ])
  return {
    namespace: place.namespace,
    name,
    portMappings: ports,
    annotations: Object.fromEntries(annotations),
    ...(policy ? { policy: policies[policy] } : {}),
  }
}

/** Whether another pod of the place that is up has one of these ports. */
export function isPortTaken({ pods }: Place, name: string, { ports }: Settings): boolean {
  return [...pods].some(
    ([pod, { settings }]) =>
      pod !== name &&
      settings.ports.some(({ hostPort, protocol }) =>
        ports.some((port) => port.hostPort === hostPort && port.protocol === protocol),
      ),
  )
}
