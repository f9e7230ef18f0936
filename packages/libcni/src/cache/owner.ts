import type { EntryKey } from './entry.ts'

/**
 * Whose an entry is that can't be read, where that is certain. `NETWORK-CONTAINERID-IFNAME` is, with two dashes; with more, any
 * part may hold them, and what is left of the content has to tell the container.
 */
export function ownerOf(file: string, content: string): EntryKey | undefined {
  const parts = file.split('-')
  if (parts.length === 3) return owner(file, parts[1] ?? '')
  const [, containerId] = /"containerId"\s*:\s*"([^"\\]+)"/i.exec(content) ?? []
  return containerId === undefined ? undefined : owner(file, containerId)
}

/** Whether an entry that can't be read may be this container's. */
export function mayBeOf(containerId: string, entry: { file: string; owner?: EntryKey }): boolean {
  return (entry.owner ?? owner(entry.file, containerId))?.containerId === containerId
}

// An interface's name seldom holds a dash.
function owner(file: string, containerId: string): EntryKey | undefined {
  const ifName = file.slice(file.lastIndexOf('-') + 1)
  const end = `-${containerId}-${ifName}`
  const network = file.slice(0, -end.length)
  if (!file.endsWith(end) || network === '' || containerId === '' || ifName === '') return undefined
  return { network, containerId, ifName }
}
