import type { Policy } from '@podwire/api'
import { type CompiledSide, compilePolicy } from './compile.ts'
import { ALL_PORTS, type Traffic } from './traffic.ts'

/**
 * What of a pod's questions for names the host's resolver answers. `all`: its policy has names, and nothing resolves unless somebody
 * answers. `elsewhere`: it has pods, which have names too: what the pod asks servers that it can't reach anyway, while somebody is there
 * who answers; the host and other pods it asks by itself.
 */
export type Answered = 'all' | 'elsewhere'

const DNS_PORT = 53
const TCP = 6
const UDP = 17

/**
 * Undefined for an egress that leaves the pod's questions alone: it has neither, or lets it ask name servers by their addresses, or a pod
 * that is one, which may be another node's.
 */
export function answeredOf(egress: CompiledSide): Answered | undefined {
  if (!known.has(egress)) known.set(egress, look(egress))
  return known.get(egress)
}

const known = new WeakMap<CompiledSide, Answered | undefined>()

function look({ allow, boxes }: CompiledSide): Answered | undefined {
  if (allow.some(({ kind }) => kind === 'names')) return 'all'
  const pods = allow.filter(({ kind }) => kind === 'pods')
  if (pods.length === 0) return undefined
  const asksPods = pods.some(({ traffic }) =>
    [...traffic[4], ...traffic[6]].some((one) => isOfSomePorts(one) && isOfNames(one)),
  )
  return asksPods || boxes[4].some(isOfNames) || boxes[6].some(isOfNames) ? undefined : 'elsewhere'
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
