import { setTimeout as sleep } from 'node:timers/promises'
import { isObject, type JsonObject, objects, tryParse } from './json.ts'

/** Where a kernel's state is read: a shell on the host, or in namespaces that stand for one. */
export interface Shell {
  /** Runs a shell script and returns its stdout; rejects with its stderr when it fails. */
  sh(script: string): Promise<string>
}

/**
 * What a kernel holds for a host and its sandboxes, a line for each thing: `host: link cni0 bridge up`,
 * `file /var/lib/cni/networks/net/10.1.0.2`. A line may be there twice.
 */
export type State = readonly string[]

/** What one state has that the other lacks. */
export interface StateDifference {
  readonly added: readonly string[]
  readonly gone: readonly string[]
}

/** Reads the state of the shell's host and of the sandboxes with these names. */
export async function readState(shell: Shell, sandboxes: readonly string[] = []): Promise<State> {
  const inSandboxes = sandboxes.map((name) => `nsenter --net=/run/netns/${name} sh -c '${readPlace(name)}'`)
  const printed = await shell.sh([readPlace('host'), ...inSandboxes, readFiles].join('\n'))
  return printed
    .split(`${separator} `)
    .flatMap((part) => {
      const [heading = '', ...lines] = part.split('\n')
      const [place = '', kind = ''] = heading.split('/')
      const read = readers[kind]?.(lines.filter(Boolean)) ?? []
      return kind === 'files' ? read : read.map((line) => `${place}: ${line}`)
    })
    .sort()
}

/** Compares two states. */
export function compareStates(before: State, after: State): StateDifference {
  return { added: without(after, before), gone: without(before, after) }
}

export function isSame({ added, gone }: StateDifference): boolean {
  return added.length === 0 && gone.length === 0
}

/** `left behind: …; missing: …` */
export function describeDifference({ added, gone }: StateDifference): string {
  const parts = [
    ...(added.length > 0 ? [`left behind: ${shorten(added)}`] : []),
    ...(gone.length > 0 ? [`missing: ${shorten(gone)}`] : []),
  ]
  return parts.join('; ') || 'nothing differs'
}

function shorten(lines: readonly string[]): string {
  const shown = lines.slice(0, 8).map((line) => (line.length > 160 ? `${line.slice(0, 159)}…` : line))
  return [...shown, ...(lines.length > 8 ? [`and ${lines.length - 8} more`] : [])].join(', ')
}

function without(lines: State, others: State): string[] {
  const counts = new Map<string, number>()
  for (const line of others) counts.set(line, (counts.get(line) ?? 0) + 1)
  return lines.filter((line) => {
    const count = counts.get(line) ?? 0
    counts.set(line, count - 1)
    return count <= 0
  })
}

const separator = '----8<----'

// One shell, and as few processes as can be: a process for each question would take longer than the plugin does. iptables'
// own tables are seen by nft; those of the older kind of iptables only by its own command, which makes them where there
// are none.
const readPlace = (name: string) => `
echo "${separator} ${name}/ip"
printf "addr show\\nroute show table all\\nrule show\\n" | ip -j -d -force -batch - 2>/dev/null
printf "route show table all\\nrule show\\n" | ip -6 -j -force -batch - 2>/dev/null
echo "${separator} ${name}/nft"; nft -j list ruleset 2>/dev/null
echo "${separator} ${name}/qdiscs"; tc -j qdisc show 2>/dev/null
echo "${separator} ${name}/iptables"
if read -r _ 2>/dev/null </proc/net/ip_tables_names; then iptables-legacy-save 2>/dev/null; fi
if read -r _ 2>/dev/null </proc/net/ip6_tables_names; then ip6tables-legacy-save 2>/dev/null; fi`

const readFiles = `
echo "${separator} /files"; find /run /var/lib -mindepth 1 ! -path "/run/netns*" 2>/dev/null; true`

const readers: Record<string, (lines: readonly string[]) => string[]> = {
  // Links have names, rules priorities, routes neither.
  ip: (lines) =>
    lines
      .flatMap((line) => things(tryParse(line)))
      .flatMap((one) => {
        if ('ifname' in one) return [describeLink(one), ...describeAddresses(one)]
        return 'priority' in one ? [`rule ${JSON.stringify(one)}`] : describeRoute(one)
      }),
  nft: (lines) => {
    const parsed = tryParse(lines.join('\n'))
    return objects(isObject(parsed) ? parsed['nftables'] : [])
      .filter((entry) => !('metainfo' in entry))
      .map((entry) => `nft ${JSON.stringify(entry, leaveOutCounts)}`)
  },
  qdiscs: (lines) =>
    things(tryParse(lines.join('\n')))
      // Those that the kernel gives every link have no handle.
      .filter(({ handle }) => handle !== '0:')
      .map(({ kind, dev, handle, parent, options }) =>
        words('qdisc', kind, { dev, handle, parent, options: options && JSON.stringify(options) }),
      ),
  iptables: (lines) => lines.filter((line) => line.startsWith('-A')).map((line) => `iptables ${line}`),
  files: (lines) => lines.map((path) => `file ${path}`),
}

function describeLink(link: JsonObject): string {
  const details = isObject(link['linkinfo']) ? link['linkinfo'] : {}
  const flags = Array.isArray(link['flags']) ? link['flags'] : []
  const state = flags.includes('UP') ? 'up' : 'down'
  return words('link', link['ifname'], details['info_kind'], `mtu ${link['mtu']}`, state, {
    master: link['master'],
  })
}

function describeAddresses(link: JsonObject): string[] {
  return objects(link['addr_info'])
    .filter(({ local }) => !isAutomatic(local))
    .map(({ local, prefixlen }) => `address ${local}/${prefixlen} on ${link['ifname']}`)
}

function describeRoute({ dst, table, gateway, dev }: JsonObject): string[] {
  if (table === 'local' || isAutomatic(dst)) return []
  return [words('route', dst, { via: gateway, dev, table })]
}

// ip prints an empty object for each entry that a filter left out.
function things(parsed: unknown): JsonObject[] {
  return objects(parsed).filter((object) => Object.keys(object).length > 0)
}

// Link-local addresses and multicast routes come and go with a link's carrier.
function isAutomatic(address: unknown): boolean {
  return typeof address === 'string' && /^(fe80|ff00|multicast)/.test(address)
}

function leaveOutCounts(key: string, value: unknown): unknown {
  return ['handle', 'packets', 'bytes', 'index'].includes(key) ? undefined : value
}

function words(...parts: unknown[]): string {
  return parts
    .flatMap((part) =>
      isObject(part)
        ? Object.entries(part).flatMap(([key, value]) => (value === undefined ? [] : [`${key} ${value}`]))
        : part,
    )
    .filter((part) => part !== undefined)
    .join(' ')
}

/**
 * Waits until the host has nothing that it had not `before`: the kernel removes what was in a deleted namespace after a
 * while. Returns what is still there when the patience ends.
 */
export async function settle(shell: Shell, before: State, patience = 5_000): Promise<readonly string[]> {
  const end = Date.now() + patience
  for (;;) {
    const { added } = compareStates(before, await readState(shell))
    if (added.length === 0 || Date.now() > end) return added
    await sleep(100)
  }
}
