import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { errors } from './errors.ts'
import { printNote } from './output.ts'

// A pod shares the host's files, /etc/resolv.conf too, but not its loopback: where that names a resolver of the host such
// as 127.0.0.53, nothing resolves inside. Programs in pods get a resolv.conf of their own then.

const RESOLV_CONF = '/etc/resolv.conf'

/** Where resolvers of the host write which servers they ask themselves. */
const UPSTREAMS = ['/run/systemd/resolve/resolv.conf', '/run/NetworkManager/no-stub-resolv.conf']

/** What pods resolve names with. */
export type NameServers =
  /** The host's file does as it is. */
  | { readonly kind: 'host'; readonly servers: readonly string[] }
  /** It doesn't, and programs get this one. */
  | { readonly kind: 'own'; readonly servers: readonly string[]; readonly text: string }
  /** It doesn't, and no server is known that would. */
  | { readonly kind: 'none'; readonly servers: readonly string[] }

/** @param read the text of a file, empty where there is none */
export function nameServersFor(dns: readonly string[], read = readIfThere): NameServers {
  const host = read(RESOLV_CONF)
  const servers = serversIn(host)
  const own = (chosen: readonly string[]): NameServers => ({
    kind: 'own',
    servers: chosen,
    text: [...chosen.map((server) => `nameserver ${server}`), ...otherLines(host), ''].join('\n'),
  })
  if (dns.length > 0) return own(dns)
  const reachable = servers.filter(isReachable)
  if (reachable.length > 0)
    return reachable.length === servers.length ? { kind: 'host', servers } : own(reachable)
  const upstream = UPSTREAMS.map((file) => serversIn(read(file)).filter(isReachable)).find(
    (found) => found.length > 0,
  )
  return upstream ? own(upstream) : { kind: 'none', servers }
}

/**
 * The command line that gives a command its name servers: in a mount namespace of its own, /etc/resolv.conf is another
 * file, which goes with the namespace. Says on stderr where that can't be.
 * @param dns those asked for; none: those of the host that a pod can reach
 * @param fallback where the host has none that a pod can reach
 * @param dir an existing directory to mount over for a moment
 * @throws PodwireError `NAME_SERVERS_NOT_GIVEN` when name servers were asked for
 */
export function withNameServers(
  command: readonly string[],
  dns: readonly string[],
  dir: string,
  fallback?: string,
): readonly string[] {
  const own = nameServersFor(dns)
  const found = own.kind === 'none' && fallback ? nameServersFor([fallback]) : own
  if (found.kind === 'host') return command
  if (found.kind === 'none') {
    printNote(`warning: names don't resolve in the pod: ${explain(found)}`)
    return command
  }
  const wrap = (inner: readonly string[]) => [
    ...['unshare', '--mount', '--propagation', 'slave'],
    ...['sh', '-c', SCRIPT, 'sh', dir, found.text, ...inner],
  ]
  const [file = '', ...args] = wrap(['true'])
  const { status, stderr, error } = spawnSync(file, args, { encoding: 'utf8' })
  if (status === 0) return wrap(command)
  const reason = (error?.message ?? stderr.trim()) || `${file} exits with ${status}`
  if (dns.length > 0) throw errors.NAME_SERVERS_NOT_GIVEN({ reason })
  printNote(`warning: names don't resolve in the pod: ${RESOLV_CONF} can't be replaced: ${reason}`)
  return command
}

/** For people: what the host has, and what pods get. */
export function explain({ kind, servers }: NameServers): string {
  if (kind === 'host') return `pods ask ${servers.join(', ')}`
  if (kind === 'own')
    return `${RESOLV_CONF} names a resolver that pods can't reach; run and exec give programs ${servers.join(', ')}`
  return `${RESOLV_CONF} names ${servers.join(', ') || 'no server'}, which pods can't reach, and no other is known: give one with --dns`
}

// The file lies on a tmpfs that is mounted nowhere by the time the command starts, so that it may be written, is nobody
// else's, and leaves nothing.
const SCRIPT = `mount -t tmpfs -o size=64k,mode=0755 podwire "$1" &&
(umask 022 && printf %s "$2" > "$1/resolv.conf") &&
mount --bind "$1/resolv.conf" ${RESOLV_CONF} &&
umount "$1" || exit 1
shift 2
exec "$@"`

function serversIn(text: string): string[] {
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, server = '']) => server)
}

function otherLines(text: string): string[] {
  return text.split('\n').filter((line) => /^\s*(search|domain|options|sortlist)\s/.test(line))
}

/** Not a loopback address, nor one of a single link of the host's. */
function isReachable(server: string): boolean {
  return !/^(127\.|0\.0\.0\.0$|::1$|::$|fe80:|.*%)/i.test(server)
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
