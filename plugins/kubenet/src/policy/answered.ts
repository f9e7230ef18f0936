import type { Policy } from '@podwire/api'
import type { askingSets } from '../firewall/layout.ts'
import { type CompiledSide, compilePolicy, type Group } from './compile.ts'
import { ALL_PORTS, type Traffic } from './traffic.ts'

/** How the host's resolver answers what a pod asks any name server. */
export interface Answered {
  /** Its policy has names: nothing resolves unless somebody answers. Else it has pods, which have names too, and can do without. */
  readonly isNeeded: boolean
  /** Whom it asks itself, as its policy lets it. */
  readonly itself: readonly (keyof typeof askingSets)[]
}

const DNS_PORT = 53
const TCP = 6
const UDP = 17

/**
 * Undefined for an egress that leaves the pod's questions alone: it has neither names nor pods, or lets it ask name servers by their
 * addresses, or a pod that is one, which may be another node's.
 */
export function answeredOf(egress: CompiledSide): Answered | undefined {
  if (!known.has(egress)) known.set(egress, look(egress))
  return known.get(egress)
}

const known = new WeakMap<CompiledSide, Answered | undefined>()

function look({ allow, boxes }: CompiledSide): Answered | undefined {
  if (allow.some(({ kind }) => kind === 'names')) return { isNeeded: true, itself: [] }
  const traffic = (wanted: Group['kind']) =>
    allow.filter(({ kind }) => kind === wanted).flatMap(({ traffic }) => [...traffic[4], ...traffic[6]])
  const [toPods, toHost] = [traffic('pods'), traffic('gateway')]
  if (toPods.length === 0) return undefined
  const asksPods = toPods.some((one) => isOfSomePorts(one) && isOfNames(one))
  if (asksPods || boxes[4].some(isOfNames) || boxes[6].some(isOfNames)) return undefined
  const asked = { pods: toPods, host: toHost }
  return { isNeeded: false, itself: (['pods', 'host'] as const).filter((who) => asked[who].some(isOfNames)) }
}

const isOfSomePorts = ({ ports }: Traffic) => String(ports) !== String(ALL_PORTS)

const isOfNames = ({ protocols, ports }: Traffic) =>
  [TCP, UDP].some((number) => protocols[0] <= number && number <= protocols[1]) &&
  ports[0] <= DNS_PORT &&
  DNS_PORT <= ports[1]

export function answeredBy(policy: Policy): Answered | undefined {
  const { egress } = compilePolicy(policy)
  return egress && answeredOf(egress)
}
