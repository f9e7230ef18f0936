import { badArgument, CniCode } from '../errors.ts'

/**
 * Reads CNI_ARGS (`K=V;K=V`). A key that isn't among `known` is an error, unless the arguments say `IgnoreUnknown=1` or
 * `IgnoreUnknown=true`.
 * @throws CniError `ERR_CNI_ARGUMENT` (4)
 */
export function parseCniArgs<Key extends string>(
  text: string,
  known: readonly Key[],
): Partial<Record<Key, string>> {
  const pairs = text === '' ? [] : text.split(';').map(parsePair)
  const isKnown = (key: string): key is Key => (known as readonly string[]).includes(key)
  const isIgnoreUnknown = (key: string) => key === 'IgnoreUnknown'
  const unknown = pairs.filter(([key]) => !isKnown(key) && !isIgnoreUnknown(key))
  const ignore = pairs.filter(([key]) => isIgnoreUnknown(key)).map(([, value]) => parseBoolean(value))
  if (unknown.length > 0 && !ignore.at(-1))
    throw badArgument(
      CniCode.invalidEnvironment,
      'ARGS: unknown args',
      unknown.map((pair) => pair.join('=')),
    )
  // Keys are the author's by the filter; entries forget it.
  return Object.fromEntries(pairs.filter(([key]) => isKnown(key))) as Partial<Record<Key, string>>
}

function parsePair(pair: string): [key: string, value: string] {
  const [key, value, ...rest] = pair.split('=')
  if (!key || value === undefined || rest.length > 0)
    throw badArgument(CniCode.invalidEnvironment, 'ARGS: invalid pair', pair)
  return [key, value]
}

function parseBoolean(value: string): boolean {
  const word = value.toLowerCase()
  if (word === '1' || word === 'true') return true
  if (word === '0' || word === 'false') return false
  throw badArgument(CniCode.invalidEnvironment, 'ARGS: IgnoreUnknown is neither true nor false', value)
}
