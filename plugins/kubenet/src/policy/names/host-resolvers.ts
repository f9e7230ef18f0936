import { readFileSync } from 'node:fs'

/** Whom the host asks, and what it appends to short names. */
export interface HostResolvers {
  /** As {@link parseServer} takes them. */
  readonly servers: readonly string[]
  readonly search: readonly string[]
}

const RESOLV_CONF = '/etc/resolv.conf'
/** Where a resolver of the host writes which servers it asks itself. */
const BEHIND_STUBS = ['/run/systemd/resolve/resolv.conf', '/run/NetworkManager/no-stub-resolv.conf']
/** For how long what was read is good, in milliseconds. */
const FRESH = 10_000

/**
 * The servers of the host's resolv.conf; where that names only a resolver on the host's loopback, those that it asks, if it
 * says so. A resolver on loopback that says nothing is asked itself: this process is on the host.
 * @param read the text of a file, empty where there is none
 */
export function readHostResolvers(read: (file: string) => string = readIfThere): HostResolvers {
  const host = read(RESOLV_CONF)
  const servers = serversIn(host)
  const search = searchIn(host)
  if (servers.some((server) => !isLoopback(server))) return { servers, search }
  const behind = BEHIND_STUBS.map((file) => serversIn(read(file))).find((found) => found.length > 0)
  return { servers: behind ?? servers, search }
}

/** The same, read again when some seconds have passed, as networks change under a host. */
export function createHostResolvers(read?: (file: string) => string): () => HostResolvers {
  let known: HostResolvers | undefined
  let readAt = 0
  return () => {
    if (!known || performance.now() - readAt > FRESH) {
      known = readHostResolvers(read)
      readAt = performance.now()
    }
    return known
  }
}

function serversIn(text: string): string[] {
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, server = '']) => server)
}

/** The last line of either kind counts. */
function searchIn(text: string): string[] {
  const [, line = ''] = [...text.matchAll(/^\s*(?:search|domain)\s+(.*)$/gm)].at(-1) ?? []
  return line
    .split(/\s+/)
    .map((domain) => domain.toLowerCase().replace(/\.$/, ''))
    .filter((domain) => domain !== '')
}

const isLoopback = (server: string) => /^(127\.|::1$)/.test(server)

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
