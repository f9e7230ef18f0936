/**
 * The addresses that pods of an IPv4 network can have, in order: all but its first, and its last, which is for broadcasts.
 *
 * @param {import('@podwire/api').CIDR} cidr
 */
export function* addressesOf({ address, prefixLength }) {
  const size = 2 ** (32 - prefixLength)
  const given = address.split('.').reduce((number, byte) => number * 256 + Number(byte), 0)
  const first = given - (given % size)
  for (let number = first + 1; number < first + size - 1; number++) yield format(number)
}

/** @param {number} number */
function format(number) {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.')
}
