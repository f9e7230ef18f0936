// The kernel takes 255 bytes.
const longestText = 205

/** The alias of a link that belongs to the host with this state id. */
export function markOf(stateId: string, text: string): string {
  return `podwire ${stateId} ${Buffer.from(text).subarray(0, longestText)}`
}

/** Whose mark an alias is; undefined for one that is nobody's. */
export function parseMark(alias: string | undefined): { stateId: string; text: string } | undefined {
  const [, stateId, text] = /^podwire ([0-9a-f]{32}) (.*)$/s.exec(alias ?? '') ?? []
  return stateId === undefined || text === undefined ? undefined : { stateId, text }
}
