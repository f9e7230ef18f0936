import type { CIDR } from '@podwire/api'

/** The addresses of a range that a pod can have, in order: not its first and not its last, which mean something else. */
export function* addressesIn({ address, family, prefixLength }: CIDR): Generator<string> {
  const bits = family === 4 ? 32 : 128
  const size = 1n << BigInt(bits - prefixLength)
  const given = family === 4 ? fromV4(address) : fromV6(address)
  const first = given - (given % size)
  for (let number = first + 1n; number < first + size - 1n; number++)
    yield family === 4 ? formatV4(number) : formatV6(number)
}

function fromV4(address: string): bigint {
  return address.split('.').reduce((number, byte) => number * 256n + BigInt(byte), 0n)
}

function fromV6(address: string): bigint {
  // The last two groups may be written as an IPv4 address.
  const plain = address.replace(/[\d.]+\.[\d.]+$/, (v4) => {
    const number = fromV4(v4)
    return `${(number >> 16n).toString(16)}:${(number & 0xffffn).toString(16)}`
  })
  const [head = '', tail] = plain.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const left = groups(head)
  const right = groups(tail ?? '')
  const middle = tail === undefined ? [] : Array<string>(8 - left.length - right.length).fill('0')
  return [...left, ...middle, ...right].reduce((number, group) => number * 65_536n + BigInt(`0x${group}`), 0n)
}

function formatV4(number: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (number >> shift) & 255n).join('.')
}

function formatV6(number: bigint): string {
  const groups = Array.from({ length: 8 }, (_, at) => (number >> BigInt(112 - 16 * at)) & 0xffffn)
  const text = groups.map((group) => group.toString(16)).join(':')
  // The longest run of zeros is left out, as the kernel prints it.
  const [longest] = (text.match(/\b0(?::0)+\b/g) ?? []).sort((one, other) => other.length - one.length)
  return longest === undefined ? text : text.replace(longest, '').replace(/^:(?!:)|(?<!:):$/, '::')
}
