import { describeDuration } from '../describe-duration.ts'

/** What to tell of a lease that began while `leaseTTL` was another. */
export const otherLength = (
  podCIDR: string,
  { begunForMs, leaseTTL }: { readonly begunForMs: number; readonly leaseTTL: number },
) =>
  `the lease of ${podCIDR} was begun for ${describeDuration(begunForMs)}, and is renewed for that: leaseTTL, ${describeDuration(leaseTTL)} now, is of the next one. Have that at once, which cuts the node off for a moment, with: podwire cluster release ${podCIDR} --force`
