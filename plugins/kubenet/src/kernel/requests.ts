import { ignoring } from '@podwire/api'
import { type Link, links, type Netlink, type Request, type Results } from '@podwire/netlink'
import type { Scheduling } from './scheduling.ts'

/** Requests to the kernel in one network namespace, run at once or off the event loop, as {@link Scheduling} decides. */
export interface Requests {
  run<T>(request: Request<T>): Promise<T>
  batch<const R extends readonly Request<unknown>[]>(requests: R): Promise<Results<R>>
  /** A link, undefined when there is none of this name. */
  findLink(name: string): Promise<Link | undefined>
}

export function requestsOf(netlink: Netlink, scheduling: Scheduling): Requests {
  const run: Requests['run'] = (request) => scheduling.run(netlink, request)
  return {
    run,
    batch: (requests) => scheduling.batch(netlink, requests),
    findLink: (name) => run(links.get(name)).catch(ignoring('ENODEV')),
  }
}
