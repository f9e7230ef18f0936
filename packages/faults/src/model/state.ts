import type { Bandwidth, PortMapping } from '@podwire/api'
import type { PodRequest } from '@podwire/core'
import type { DatapathSettings } from '../checker/datapath/index.ts'
import type { MachineModel } from '../checker/model.ts'

/** What of a pod is changed by setting it up again. */
export interface Settings {
  readonly ports: readonly PortMapping[]
  readonly bandwidth: Bandwidth
}

/** What is known of a pod that is up. */
export interface PodState {
  settings: Settings
  isDamaged: boolean
  /** A change of it was refused on a full disk: its records may go on to tell of it. */
  isHalfChanged?: boolean
  /** The process that it ends with. */
  owner?: number | undefined
}

/** A state directory, its pods by name. */
export interface Place {
  readonly namespace: string
  readonly stateDir: string
  readonly podCIDR: string
  readonly datapath: DatapathSettings
  readonly pods: Map<string, PodState>
  isDamaged: boolean
  isFull: boolean
}

/** What the machine should be: two state directories, which three host processes work on. */
export interface State {
  readonly places: readonly [Place, Place]
  /**
   * The hosts of both are at work. They have one nft table, and whichever makes it anew or collects garbage in it leaves its own
   * ports there alone: a known defect, by which ports may lack.
   */
  readonly isTableShared: boolean
}

/** The place that each host process works on: two share one. */
export const placeOf = ({ places: [first, second] }: State, seat: number): Place =>
  seat < 2 ? first : second
export const SEATS = 3

export function freshState(root: string, isTableShared = false): State {
  const place = (letter: string, podCIDR: string, bridge: string, gateways: readonly string[]): Place => ({
    namespace: letter,
    stateDir: `${root}/${letter}`,
    podCIDR,
    datapath: { kind: 'bridge', bridge, gateways, hairpin: true },
    pods: new Map(),
    isDamaged: false,
    isFull: false,
  })
  return {
    isTableShared,
    places: [
      place('a', '10.88.0.0/24,fd88::/64', 'cbr0', ['10.88.0.1/24', 'fd88::1/64']),
      place('b', '10.89.0.0/24', 'cbr1', ['10.89.0.1/24']),
    ],
  }
}

/** As the checker wants it. */
export function machineModel({ places, isTableShared }: State, isTidy: boolean): MachineModel {
  return {
    hosts: places.map(({ namespace, stateDir, datapath, pods, isDamaged }) => ({
      stateDir,
      datapath,
      isDamaged,
      mayLackPorts: isTableShared,
      isTidy,
      pods: [...pods].map(([name, { settings, isDamaged, isHalfChanged = false }]) => ({
        namespace,
        name,
        ...settings,
        isDamaged,
        isHalfChanged,
      })),
    })),
  }
}

const annotationOf = { ingress: 'kubernetes.io/ingress-bandwidth', egress: 'kubernetes.io/egress-bandwidth' }

export function requestFor(place: Place, name: string, { ports, bandwidth }: Settings): PodRequest {
  const annotations = Object.entries(bandwidth).map(([way, bits]) => [
    annotationOf[way as keyof Bandwidth], // a bandwidth has these two keys
    `${bits / 1_000_000}M`,
  ])
  return {
    namespace: place.namespace,
    name,
    portMappings: ports,
    annotations: Object.fromEntries(annotations),
  }
}

/**
 * Whether another pod that is up has one of these ports. Of another state directory's, that isn't seen where the nft table
 * was made anew meanwhile.
 */
export function isPortTaken(
  { places }: State,
  place: Place,
  name: string,
  { ports }: Settings,
): 'yes' | 'perhaps' | 'no' {
  const takers = places.filter((other) =>
    [...other.pods].some(
      ([pod, { settings }]) =>
        (other !== place || pod !== name) &&
        settings.ports.some(({ hostPort, protocol }) =>
          ports.some((port) => port.hostPort === hostPort && port.protocol === protocol),
        ),
    ),
  )
  if (takers.includes(place)) return 'yes'
  return takers.length > 0 ? 'perhaps' : 'no'
}
