import { errors } from './error-table.ts'

/** Limits the traffic towards the pod. Value: a quantity of bits per second, `10M`. */
export const INGRESS_BANDWIDTH_ANNOTATION = 'kubernetes.io/ingress-bandwidth'

/** Limits the traffic from the pod. Value: a quantity of bits per second, `10M`. */
export const EGRESS_BANDWIDTH_ANNOTATION = 'kubernetes.io/egress-bandwidth'

/** Limits in bits per second; absent: none. */
export interface Bandwidth {
  readonly ingress?: number
  readonly egress?: number
}

const minimum = 1e3
const maximum = 1e15
const decimal = { '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 } as const
const binary = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50 } as const
const factors: Readonly<Record<string, number>> = { ...decimal, ...binary }

/**
 * The bandwidth limits that a pod's annotations ask for.
 * @throws PodwireError `INVALID_BANDWIDTH` for a value that is not a quantity from 1k to 1P
 */
export function bandwidthOf(annotations: Readonly<Record<string, string>>): Bandwidth {
  const ingress = annotations[INGRESS_BANDWIDTH_ANNOTATION]
  const egress = annotations[EGRESS_BANDWIDTH_ANNOTATION]
  return {
    ...(ingress === undefined ? {} : { ingress: parseBandwidth(ingress, INGRESS_BANDWIDTH_ANNOTATION) }),
    ...(egress === undefined ? {} : { egress: parseBandwidth(egress, EGRESS_BANDWIDTH_ANNOTATION) }),
  }
}

/**
 * Parses a Kubernetes quantity of bits per second: digits, a fraction, and one of k M G T P Ki Mi Gi Ti Pi or an exponent.
 * @param source names the value in the error: an annotation or a flag
 * @throws PodwireError `INVALID_BANDWIDTH`
 */
export function parseBandwidth(quantity: string, source: string): number {
  const [, number, suffix = ''] = /^(\d+(?:\.\d*)?|\.\d+)([A-Za-z]*|[eE]\d{1,2})$/.exec(quantity) ?? []
  const factor = /^[eE]\d/.test(suffix) ? 10 ** Number(suffix.slice(1)) : factors[suffix]
  const bits = number === undefined || factor === undefined ? Number.NaN : Math.ceil(Number(number) * factor)
  if (bits >= minimum && bits <= maximum) return bits
  throw errors.INVALID_BANDWIDTH({ source, quantity })
}
