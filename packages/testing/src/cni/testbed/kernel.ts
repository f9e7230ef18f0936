import { isObject, type JsonObject, objects, tryParse } from '../../kernel-state/json.ts'
import type { Attachment } from './sandbox.ts'
import type { Testbed } from './testbed.ts'

/** Whether the sandbox has an interface of this name. */
export async function hasLink(testbed: Testbed, { name }: Attachment, link: string): Promise<boolean> {
  return (await linkNames(testbed, name)).includes(link)
}

/** The names of a sandbox's links. */
export async function linkNames(testbed: Testbed, netns: string): Promise<string[]> {
  const parsed = objects(tryParse(await testbed.sh(`ip -n ${netns} -j link show`)))
  return parsed.map(({ ifname }) => String(ifname))
}

/** The addresses on the sandbox's links: `10.1.0.2/24`, each with the link's name. */
export async function sandboxAddresses(
  testbed: Testbed,
  { name }: Attachment,
): Promise<{ link: string; address: string }[]> {
  const parsed = objects(tryParse(await testbed.sh(`ip -n ${name} -j addr show`)))
  return parsed.flatMap(({ ifname, addr_info }) =>
    objects(addr_info).map(({ local, prefixlen }) => ({
      link: String(ifname),
      address: `${local}/${prefixlen}`,
    })),
  )
}

/** The destinations of the sandbox's routes in CIDR notation, over all tables. */
export async function sandboxRoutes(testbed: Testbed, { name }: Attachment): Promise<string[]> {
  const printed = await testbed.sh(
    `ip -n ${name} -j route show table all; echo; echo '--'; ip -n ${name} -j -6 route show table all 2>/dev/null || true`,
  )
  const [v4 = '', v6 = ''] = printed.split('\n--\n')
  return [
    ...objects(tryParse(v4)).map((route) => cidr(route, '0.0.0.0/0', 32)),
    ...objects(tryParse(v6)).map((route) => cidr(route, '::/0', 128)),
  ]
}

function cidr({ dst }: JsonObject, everything: string, length: number): string {
  if (dst === 'default') return everything
  return String(dst).includes('/') ? String(dst) : `${dst}/${length}`
}

/** The addresses that a result claims for the sandbox's interfaces, with the interface's name. */
export function claimedAddresses(
  result: JsonObject,
  attachment: Attachment,
): { link: string; address: string }[] {
  const interfaces = Array.isArray(result['interfaces']) ? result['interfaces'] : []
  return objects(result['ips']).flatMap(({ address, interface: index }) => {
    const link: unknown = typeof index === 'number' ? interfaces[index] : undefined
    if (!isObject(link) || link['sandbox'] !== attachment.netns || typeof address !== 'string') return []
    return [{ link: String(link['name']), address }]
  })
}

/** The destinations of a result's routes. */
export function claimedRoutes(result: JsonObject): string[] {
  return objects(result['routes']).flatMap(({ dst }) => (typeof dst === 'string' ? [dst] : []))
}
