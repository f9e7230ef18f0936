import { errors } from '../errors.ts'
import { attributes, bytes, type Field, signedBe32, text } from '../wire/fields.ts'

/** What becomes of a packet, or which chain goes on with it. */
export type Verdict =
  | 'accept'
  | 'drop'
  | 'queue'
  | 'continue'
  | 'break'
  | 'return'
  | { readonly jump: string }
  | { readonly goto: string }

/** What a register, a set or a map holds: bytes, or a verdict. */
export type Data = Uint8Array | Verdict

const codes = { drop: 0, accept: 1, queue: 3, continue: -1, break: -2, return: -5 } as const
const NFT_JUMP = -3
const NFT_GOTO = -4
const names = new Map<number, Verdict>(
  (Object.keys(codes) as (keyof typeof codes)[]).map((name) => [codes[name], name]), // the keys above
)

const verdictAttributes = attributes({ code: [1, signedBe32], chain: [2, text] })

const verdict: Field<Verdict> = {
  encode(value, what) {
    if (typeof value === 'string') {
      if (!Object.hasOwn(codes, value))
        throw errors.ERR_NETLINK_ARGUMENT({
          what,
          value,
          expected: `${Object.keys(codes).join(', ')}, { jump: CHAIN } or { goto: CHAIN }`,
        })
      return verdictAttributes.encode({ code: codes[value] })
    }
    return 'jump' in value
      ? verdictAttributes.encode({ code: NFT_JUMP, chain: value.jump })
      : verdictAttributes.encode({ code: NFT_GOTO, chain: value.goto })
  },
  decode(encoded) {
    const { code = 0, chain = '' } = verdictAttributes.decode(encoded)
    if (code === NFT_JUMP) return { jump: chain }
    if (code === NFT_GOTO) return { goto: chain }
    const name = names.get(code)
    if (name === undefined) throw errors.ERR_NETLINK_MALFORMED({ what: `verdict ${code}` })
    return name
  },
}

const dataAttributes = attributes({ value: [1, bytes], verdict: [2, verdict] })

export const data: Field<Data> = {
  encode: (value) => dataAttributes.encode(value instanceof Uint8Array ? { value } : { verdict: value }),
  decode(encoded) {
    const { value, verdict } = dataAttributes.decode(encoded)
    return value ?? verdict ?? Buffer.alloc(0)
  },
}
