import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readFileIfThere, removeIfThere, writeFileWhole } from '@podwire/api/files'
import { type Link, links } from '@podwire/netlink'
import { errors } from '../../errors.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { markOf, parseMark } from '../../ownership/mark.ts'
import { readStateId, STATE_ID_FILE, type StateId } from '../../ownership/state-id.ts'

/** Whose the bridge is, and which of its addresses are ours. */
export interface BridgeOwner {
  /** @throws PodwireError `BRIDGE_OF_ANOTHER_HOST`, `BRIDGE_CHANGED` */
  check(name: string, bridge: Link | undefined): Promise<void>
  alias(): string
  /** Gateways that were given to the bridge, these included from now on: written down before they are given. */
  take(name: string, gateways: readonly string[]): readonly string[]
  /** All others are gone. */
  keep(name: string, gateways: readonly string[]): void
  /** Whether there is a bridge of this host. */
  isThere(): boolean
  /** The bridge is gone. */
  forget(): void
}

export function createBridgeOwner(
  kernel: Kernel,
  stateId: StateId,
  stateDir: string,
  podCount: () => number,
): BridgeOwner {
  const file = join(stateDir, 'bridge')

  async function hasPortsOf(bridge: Link, owner: string): Promise<boolean> {
    const all = await kernel.runOffLoop(links.list())
    return all.some(({ master, alias }) => master === bridge.index && parseMark(alias)?.stateId === owner)
  }

  /** The bridge's name, and its gateways. */
  const read = () => (readFileIfThere(file) ?? '').split('\n').filter(Boolean)

  function write(name: string, gateways: readonly string[]) {
    const lines = [name, ...new Set(gateways)]
    if (lines.join('\n') !== read().join('\n')) writeFileWhole(file, lines.join('\n'))
  }

  function checkName(name: string) {
    const [kept = name] = read()
    const pods = kept === name ? 0 : podCount()
    if (pods > 0) throw errors.BRIDGE_CHANGED({ bridge: kept, stateDir, pods })
  }

  return {
    async check(name, bridge) {
      checkName(name)
      if (!bridge) return
      const mark = parseMark(bridge.alias)
      if (!mark || mark.stateId === stateId.get()) return
      // One whose state directory was removed is taken over, unless pods of it are left.
      const isInUse =
        readStateId(join(mark.text, STATE_ID_FILE)) === mark.stateId ||
        (await hasPortsOf(bridge, mark.stateId))
      if (isInUse) throw errors.BRIDGE_OF_ANOTHER_HOST({ bridge: bridge.name, stateDir: mark.text })
    },
    alias: () => markOf(stateId.get(), stateDir),
    take(name, gateways) {
      const [kept, ...earlier] = read()
      write(name, [...(kept === name ? earlier : []), ...gateways])
      return kept === name ? earlier : []
    },
    keep: write,
    isThere: () => existsSync(file),
    forget: () => removeIfThere(file),
  }
}
