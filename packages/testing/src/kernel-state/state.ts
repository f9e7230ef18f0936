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
  const places = [{ name: 'host', ip: 'ip', exec: '' }].concat(
    sandboxes.map((name) => ({ name, ip: `ip -n ${name}`, exec: `ip netns exec ${name} ` })),
  )
  const printed = await shell.sh([...places.map(readPlace), readFiles].join('\n'))
  return printed
    .split(`${separator}\n`)
    .flatMap((part) => {
      const [heading = '', ...body] = part.split('\n')
      const [place = '', kind = ''] = heading.split('/')
      const text = body.join('\n')
      if (kind === 'files')
        return text
          .split('\n')
          .filter(Boolean)
          .map((path) => `file ${path}`)
      return (readers[kind]?.(tryParse(text), text) ?? []).map((line) => `${place}: ${line}`)
    })
    .sort()
}

/** Compares two states. */
export function compareStates(before: State, after: State): StateDifference {
  return { added: without(after, before), gone: without(before, after) }
}

/**
 * Waits until the state is `before` again: the kernel removes what was in a deleted namespace after a while. Returns
 * what still differs when the patience ends.
 */
export async function settle(
  shell: Shell,
  before: State,
  sandboxes: readonly string[] = [],
  patience = 5_000,
): Promise<StateDifference> {
  const end = Date.now() + patience
  for (;;) {
    const difference = compareStates(before, await readState(shell, sandboxes))
    if (isSame(difference) || Date.now() > end) return difference
    await sleep(100)
  }
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

// One shell for everything: a process for each question would take longer than the plugin does. iptables' own tables are
// seen by nft; those of the older kind of iptables only by its own command.
const readPlace = ({ name, ip, exec }: { name: string; ip: string; exec: string }) => `
echo '${separator}'; echo '${name}/links'; ${ip} -j -d link show
echo '${separator}'; echo '${name}/addresses'; ${ip} -j addr show
echo '${separator}'; echo '${name}/routes'; ${ip} -j route show table all
echo '${separator}'; echo '${name}/routes'; ${ip} -j -6 route show table all 2>/dev/null
echo '${separator}'; echo '${name}/rules'; ${ip} -j rule show
echo '${separator}'; echo '${name}/rules'; ${ip} -j -6 rule show 2>/dev/null
echo '${separator}'; echo '${name}/nft'; ${exec}nft -j list ruleset 2>/dev/null
echo '${separator}'; echo '${name}/qdiscs'; ${exec}tc -j qdisc show 2>/dev/null
echo '${separator}'; echo '${name}/iptables'; for save in iptables-legacy-save ip6tables-legacy-save; do ${exec}$save 2>/dev/null; done`

const readFiles = `
echo '${separator}'; echo '/files'; find /run /var/lib -mindepth 1 ! -path '/run/netns*' 2>/dev/null; true`

const readers: Record<string, (parsed: unknown, text: string) => string[]> = {
  links: (parsed) =>
    things(parsed).map((link) => {
      const details = isObject(link['linkinfo']) ? link['linkinfo'] : {}
      const flags = Array.isArray(link['flags']) ? link['flags'] : []
      return words(
        'link',
        link['ifname'],
        details['info_kind'],
        `mtu ${link['mtu']}`,
        flags.includes('UP') ? 'up' : 'down',
        {
          master: link['master'],
        },
      )
    }),
  addresses: (parsed) =>
    things(parsed).flatMap((link) =>
      objects(link['addr_info'])
        .filter(({ local }) => !isAutomatic(local))
        .map(({ local, prefixlen }) => `address ${local}/${prefixlen} on ${link['ifname']}`),
    ),
  routes: (parsed) =>
    things(parsed)
      .filter(({ dst, table }) => table !== 'local' && !isAutomatic(dst))
      .map((route) =>
        words('route', route['dst'], { via: route['gateway'], dev: route['dev'], table: route['table'] }),
      ),
  rules: (parsed) => things(parsed).map((rule) => `rule ${JSON.stringify(rule)}`),
  nft: (parsed) =>
    objects(isObject(parsed) ? parsed['nftables'] : [])
      .filter((entry) => !('metainfo' in entry))
      .map((entry) => `nft ${JSON.stringify(entry, leaveOutCounts)}`),
  qdiscs: (parsed) =>
    things(parsed)
      // Those that the kernel gives every link have no handle.
      .filter(({ handle }) => handle !== '0:')
      .map(({ kind, dev, handle, parent }) => words('qdisc', kind, { dev, handle, parent })),
  iptables: (_parsed, text) =>
    text
      .split('\n')
      .filter((line) => line.startsWith('-A'))
      .map((line) => `iptables ${line}`),
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
