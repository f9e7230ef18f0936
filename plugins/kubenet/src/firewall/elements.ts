import {
  type Attribute,
  decodeAttributes,
  listAttributes,
  type Request,
  readBe32,
} from '@podwire/netlink/transport'
import {
  attributesOf,
  be32,
  message,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  name,
  request,
  type Step,
  step,
  type TableFamily,
  tableFamily,
} from './nf-tables.ts'

/** An element of a set, or of a map when it has a value. */
export interface Element {
  readonly key: Buffer
  readonly value?: Buffer
  /** The first address after an interval. */
  readonly isIntervalEnd?: boolean
}

export interface SetRef {
  readonly table: string
  readonly set: string
}

/** Adds elements; those that are there already with the same value stay. Errors: `EEXIST` (`EBUSY` of older kernels) for another value. */
export const addElements = (family: TableFamily, ref: SetRef, elements: readonly Element[]): Step =>
  step(`add elements to ${ref.set}`, message.newElement, family, elementsOf(ref, elements), NLM_F_CREATE)

/** Errors: `ENOENT` when one is not there. */
export const deleteElements = (family: TableFamily, ref: SetRef, elements: readonly Element[]): Step =>
  step(`delete elements of ${ref.set}`, message.delElement, family, elementsOf(ref, elements))

function elementsOf({ table, set }: SetRef, elements: readonly Element[]): Attribute[] {
  const list = elements.map(
    ({ key, value, isIntervalEnd }): Attribute => [
      1,
      [
        [1, [[1, key]]],
        [2, value && [[1, value]]],
        [3, isIntervalEnd ? be32(1) : undefined],
      ],
    ],
  )
  return [
    [1, name(table)],
    [2, name(set)],
    [3, list],
  ]
}

/** The elements of a set. Errors: `ENOENT`. */
export const listElements = (family: TableFamily, ref: SetRef): Request<Element[]> =>
  request(
    `list elements of ${ref.set}`,
    [message.getElement, NLM_F_DUMP],
    tableFamily[family],
    [
      [1, name(ref.table)],
      [2, name(ref.set)],
    ],
    (messages) => messages.flatMap((answer) => decodeElements(attributesOf(answer).get(3))),
  )

/** The element of this key. Errors: `ENOENT`. */
export const getElement = (family: TableFamily, ref: SetRef, key: Buffer): Request<Element | undefined> =>
  request(
    `get element of ${ref.set}`,
    [message.getElement, NLM_F_ACK],
    tableFamily[family],
    elementsOf(ref, [{ key }]),
    ([answer]) => (answer ? decodeElements(attributesOf(answer).get(3))[0] : undefined),
  )

function decodeElements(list: Buffer | undefined): Element[] {
  if (!list) return []
  return listAttributes(list).map(([, bytes]) => {
    const element = decodeAttributes(bytes)
    const value = element.get(2)
    const flags = element.get(3)
    return {
      key: decodeAttributes(element.get(1) ?? Buffer.alloc(0)).get(1) ?? Buffer.alloc(0),
      ...(value ? { value: decodeAttributes(value).get(1) ?? Buffer.alloc(0) } : {}),
      ...(flags ? { isIntervalEnd: (readBe32(flags) & 1) === 1 } : {}),
    }
  })
}
