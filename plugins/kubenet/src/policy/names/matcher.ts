import { domainToASCII } from 'node:url'

/** A host of a policy: `registry.npmjs.org`, or `*.npmjs.org` for every name below it, however deep, without itself. */
export interface NamePattern {
  /** In lower case, A-labels, no dot at its end; of a wildcard, what stands after `*.` */
  readonly name: string
  readonly wildcard: boolean
}

/** A DNS name is at most 255 octets on the wire: 253 characters. */
const MOST_CHARACTERS = 253

/** @returns the pattern, or what is wrong with the text: the end of a sentence that begins with it */
export function parseNamePattern(text: string): NamePattern | { readonly problem: string } {
  const wildcard = text.startsWith('*.')
  const rest = wildcard ? text.slice(2) : text
  if (rest.includes('*')) return { problem: 'has a "*" that is not its first label: write "*.example.org"' }
  const name = toAscii(rest)
  if (name === undefined) return { problem: 'is not a host name' }
  if (name.length + (wildcard ? 2 : 0) > MOST_CHARACTERS)
    return { problem: `is longer than the ${MOST_CHARACTERS} characters that a name may have` }
  const labels = name.split('.')
  if (labels.some((label) => label.length > 63)) return { problem: 'has a label of more than 63 characters' }
  if (!labels.every((label) => /^(?!-)[a-z0-9_-]+(?<!-)$/.test(label)))
    return { problem: 'is not a host name' }
  // As URLs have it: what ends in a number is an address, in one spelling or another.
  if (/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? ''))
    return { problem: 'is an address, not a host name: use a cidr rule' }
  return { name, wildcard }
}

/**
 * What belongs to a name, of all that belongs to patterns: exact names first, then wildcards, the longest first. The
 * time that a look-up takes depends on the labels of the name alone.
 * @returns takes a name in any case, with or without a dot at its end
 */
export function createNameMatcher<T>(
  entries: Iterable<readonly [NamePattern, T]>,
): (name: string) => readonly T[] {
  const exact = new Map<string, T[]>()
  const below = new Map<string, T[]>()
  for (const [{ name, wildcard }, value] of entries) {
    const index = wildcard ? below : exact
    const values = index.get(name)
    if (values) values.push(value)
    else index.set(name, [value])
  }
  return (asked) => {
    const name = asked.toLowerCase().replace(/\.$/, '')
    const found = [...(exact.get(name) ?? [])]
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      // An empty label is not one or more.
      if (dot === 0) return []
      found.push(...(below.get(name.slice(dot + 1)) ?? []))
    }
    return found
  }
}

function toAscii(text: string): string | undefined {
  const bare = text.replace(/\.$/, '')
  if (bare === '') return undefined
  // Of ASCII, the function would make addresses of what looks like one.
  if (/^[\x00-\x7f]*$/.test(bare)) return bare.toLowerCase()
  return domainToASCII(bare) || undefined
}
