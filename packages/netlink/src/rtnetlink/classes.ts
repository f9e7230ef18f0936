import type { LinkRef, Request } from '../socket/request.ts'
import { text, u32 } from '../wire/bytes.ts'
import * as c from '../wire/constants.ts'
import { type Handle, handleValue, positive } from './handle.ts'
import { ADD, change, dump, REPLACE } from './request.ts'
import { decodeTc, encodeTc, rate64, rateSpec, type TrafficControl, ticks } from './traffic-control.ts'

/** A class of an htb qdisc. */
export interface NewClass {
  dev: LinkRef
  /** `1:10`. */
  classId: Handle
  /** The qdisc (`1:`) or class (`1:1`) above. */
  parent: Handle
  /** What it is sure of, in bytes per second. */
  rate: number
  /** What it may borrow up to, in bytes per second; default: `rate`. */
  ceil?: number
  /** What may be sent at once at `rate`, in bytes; default: 64 KiB. */
  burst?: number
  /** Lower ones borrow first, 0 to 7. */
  priority?: number
}

/** Makes a class. Errors: `EEXIST`, `ENOENT` without the parent, `ENODEV`. */
export const add = (entry: NewClass): Request<void> => install('add', entry, ADD)

/** The same where it may be there already. */
export const replace = (entry: NewClass): Request<void> => install('replace', entry, REPLACE)

/** Deletes a class. Errors: `ENOENT`, `EBUSY` while filters lead to it. */
export function del({ dev, classId }: Pick<NewClass, 'dev' | 'classId'>): Request<void> {
  return change(`delete class ${classId} of link ${dev}`, c.RTM_DELTCLASS, 0, (scope) =>
    encodeTc({ index: scope.index(dev), handle: handleValue(classId) }),
  )
}

/** The classes of a link. */
export function list({ dev }: { dev: LinkRef }): Request<TrafficControl[]> {
  return dump(
    'list classes',
    [c.RTM_GETTCLASS, c.RTM_NEWTCLASS],
    (scope) => encodeTc({ index: scope.index(dev) }),
    decodeTc,
  )
}

function install(verb: string, entry: NewClass, flags: number): Request<void> {
  const { dev, classId, parent, rate, ceil = rate, burst = 64 << 10, priority = 0 } = entry
  return change(`${verb} class ${classId} of link ${dev}`, c.RTM_NEWTCLASS, flags, (scope) => {
    positive('rate in bytes per second', rate)
    positive('ceil in bytes per second', ceil)
    const quantum = Math.min(Math.max(Math.floor(rate / 10), 1500), 200_000)
    // struct tc_htb_opt: rate, ceil, both bursts in ticks, quantum, level (the kernel's) and priority.
    const parameters = [
      rateSpec(rate),
      rateSpec(ceil),
      ...[ticks(burst, rate), ticks(burst, ceil), quantum, 0, priority].map(u32),
    ]
    const header = { index: scope.index(dev), handle: handleValue(classId), parent: handleValue(parent) }
    return encodeTc(header, [
      [c.TCA_KIND, text('htb')],
      [
        c.TCA_OPTIONS,
        [
          [c.TCA_HTB_PARMS, Buffer.concat(parameters)],
          [c.TCA_HTB_RATE64, rate64(rate)],
          [c.TCA_HTB_CEIL64, rate64(ceil)],
        ],
      ],
    ])
  })
}
