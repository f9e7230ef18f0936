import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '@podwire/api'
import { links, NetlinkError } from '@podwire/netlink'
import { errors } from '../errors.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { PodLink } from './datapath.ts'

const carrierPollMs = 2
const carrierPolls = 50

/**
 * Waits until the kernel sends by a link whose other end is up now. It sees to that a little later, and drops what is sent
 * before; asking for the link makes it do so at once since Linux 6.8.
 */
export async function carrierOf(kernel: Kernel, index: number) {
  for (let poll = 0; poll < carrierPolls; poll++) {
    if ((await kernel.run(links.brief(index))).running) return
    await sleep(carrierPollMs)
  }
}

/** Throws what went wrong when a pod's pair of links was made. */
export const explainPair =
  ({ interfaceName, netns }: PodLink) =>
  (error: unknown): never => {
    // The host's end isn't there either, so that it was the name of the other one.
    if (errnoOf(error) === 'EEXIST' && failuresOf(error).includes('ENODEV'))
      throw errors.INTERFACE_TAKEN({ name: interfaceName, netns: netns.path }, error)
    throw error
  }

const failuresOf = (error: unknown) =>
  error instanceof NetlinkError && Array.isArray(error.details['failures'])
    ? error.details['failures'].map(errnoOf)
    : []
