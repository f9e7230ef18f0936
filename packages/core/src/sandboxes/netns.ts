import { closeSync, fstatSync, openSync, statSync } from 'node:fs'

/** Which network namespace it is, whatever its path: the numbers of its inode. */
export interface NetnsIdentity {
  readonly dev: number
  readonly ino: number
}

/** Where the namespaces that a host makes are kept: `ip netns` lists them too. */
const NETNS_DIR = '/run/netns'

/** Where the namespace of a sandbox is, if the host makes it. */
export function netnsPathOf(sandboxId: string): string {
  return `${NETNS_DIR}/${sandboxId}`
}

// koffi costs some 15 ms to load, and asking for the state of things needs none of it.
let loaded: Promise<typeof import('@podwire/netlink/netns')> | undefined
function netns() {
  loaded ??= import('@podwire/netlink/netns')
  return loaded
}

/** The host's own network namespace. */
export const OWN_NETNS = '/proc/self/ns/net'

/** Makes a network namespace that stays until it is removed. */
export async function createNamespace(path: string): Promise<NetnsIdentity> {
  const { createNetns, netnsId } = await netns()
  createNetns(path)
  return netnsId(path)
}

/** Lets go of a namespace; one that isn't there is success. */
export async function removeNamespace(path: string): Promise<void> {
  const { removeNetns } = await netns()
  removeNetns(path)
}

/** Which namespace is at `path` now; undefined when none is. */
export async function namespaceAt(path: string): Promise<NetnsIdentity | undefined> {
  const { isNetns, netnsId } = await netns()
  return isNetns(path) ? netnsId(path) : undefined
}

/** Whether the namespace at `path` is this one: the number of an inode says it, and costs a tenth of a full look. */
export function isNamespaceAt(path: string, identity: NetnsIdentity | undefined): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  return found !== undefined && isSameNamespace(identity, found)
}

/**
 * Runs `start` inside the network namespace at `path` in one synchronous turn: a child process that it spawns stays in
 * there. What is at the path is opened once, so that it is the namespace that was looked at.
 * @param onOther throws the error for a namespace that isn't the one expected
 */
export async function inNamespace<T>(
  path: string,
  identity: NetnsIdentity | undefined,
  start: () => T,
  onOther: (cause?: unknown) => never,
): Promise<T> {
  const { withNetns } = await netns()
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    return onOther(error)
  }
  try {
    if (!isSameNamespace(identity, fstatSync(fd))) return onOther()
    return withNetns(fd, start)
  } finally {
    closeSync(fd)
  }
}

function isSameNamespace(a: NetnsIdentity | undefined, b: NetnsIdentity | undefined): boolean {
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino
}
