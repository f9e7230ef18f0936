import { attributes, be32, be64, bytes, flags, listOf, oneOf, signedBe32, text } from '../wire/fields.ts'
import { data } from './data.ts'
import { expression, stateful } from './expressions.ts'

// The attributes of nf_tables' messages by name: linux/netfilter/nf_tables.h. Numbers travel in network byte order.

export const tableAttributes = attributes({
  name: [1, text],
  flags: [2, flags({ dormant: 1, owner: 2, persist: 4 })],
  handle: [4, be64],
  userData: [6, bytes],
})

const hookAttributes = attributes({
  number: [1, be32],
  priority: [2, signedBe32],
  device: [3, text],
  devices: [4, listOf(text)],
})

export const chainAttributes = attributes({
  table: [1, text],
  handle: [2, be64],
  name: [3, text],
  hook: [4, hookAttributes],
  policy: [5, oneOf({ drop: 0, accept: 1 })],
  rules: [6, be32],
  type: [7, text],
  userData: [12, bytes],
})

export const ruleAttributes = attributes({
  table: [1, text],
  chain: [2, text],
  handle: [3, be64],
  expressions: [4, listOf(expression)],
  position: [6, be64],
  userData: [7, bytes],
})

const concatenationField = attributes({ length: [1, be32] })

export const setAttributes = attributes({
  table: [1, text],
  name: [2, text],
  flags: [
    3,
    flags({
      anonymous: 1,
      constant: 2,
      interval: 4,
      map: 8,
      timeout: 0x10,
      dynamic: 0x20,
      object: 0x40,
      concatenation: 0x80,
      expressions: 0x100,
    }),
  ],
  keyType: [4, be32],
  keyLength: [5, be32],
  valueType: [6, be32],
  valueLength: [7, be32],
  description: [9, attributes({ size: [1, be32], fields: [2, listOf(concatenationField)] })],
  /** A number for rules of the same transaction to refer to it by; the kernel wants one, though they use the name. */
  id: [10, be32],
  /** In milliseconds. */
  timeout: [11, be64],
  /** In milliseconds. */
  gcInterval: [12, be32],
  userData: [13, bytes],
  handle: [16, be64],
  expression: [17, stateful],
  expressions: [18, listOf(stateful)],
})

export const elementAttributes = attributes({
  key: [1, data],
  value: [2, data],
  flags: [3, flags({ intervalEnd: 1, catchall: 2 })],
  /** In milliseconds. */
  timeout: [4, be64],
  /** In milliseconds. */
  expiration: [5, be64],
  userData: [6, bytes],
  expression: [7, stateful],
  keyEnd: [10, data],
  expressions: [11, listOf(stateful)],
})

export const elementListAttributes = attributes({
  table: [1, text],
  set: [2, text],
  elements: [3, listOf(elementAttributes)],
})
