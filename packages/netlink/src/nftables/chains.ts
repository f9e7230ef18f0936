import { errors } from '../errors.ts'
import type { Request } from '../socket/request.ts'
import { present } from '../wire/attributes.ts'
import type { Message } from '../wire/message.ts'
import { chainAttributes } from './attributes.ts'
import {
  attributesOf,
  type ChainRef,
  type Change,
  change,
  dump,
  familyOf,
  messages,
  type TableFamily,
  type TableRef,
} from './request.ts'
import { decodeNotes, encodeNotes, type Notes } from './user-data.ts'

/** Where packets pass by. Which ones a table has depends on its family. */
export type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting' | 'ingress' | 'egress'

const ip = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 }
const hooks: Record<TableFamily, Partial<Record<Hook, number>>> = {
  ip,
  ip6: ip,
  inet: { ...ip, ingress: 5 },
  bridge: ip,
  arp: { input: 0, output: 1 },
  netdev: { ingress: 0, egress: 1 },
}

/** Where among others at a hook, by iptables' names; lower ones come first. A bridge has numbers of its own. */
export const priorities = {
  raw: -300,
  mangle: -150,
  dstnat: -100,
  filter: 0,
  security: 50,
  srcnat: 100,
} as const

/** What makes a chain see packets by itself, and not only when another one jumps to it. */
export interface BaseChain {
  readonly type: 'filter' | 'nat' | 'route'
  readonly hook: Hook
  readonly priority: number
  /** What becomes of a packet that no rule decides on; accepted by default. */
  readonly policy?: 'accept' | 'drop'
  /** Links by name, for `ingress` and `egress`; adding the chain again adds more. */
  readonly devices?: readonly string[]
}

export interface NewChain extends Notes {
  readonly base?: BaseChain
}

/** A chain as the kernel describes it. What doesn't apply is absent. */
export interface Chain extends ChainRef, Notes {
  readonly handle: number
  readonly base?: BaseChain
}

/** Makes a chain; one that is there stays, and takes a policy and more devices. Errors: `ENOENT` without the table. */
export const add = (ref: ChainRef, chain?: NewChain): Change => make('add', ref, chain)

/** Makes a chain. Errors: `EEXIST`, `ENOENT` without the table. */
export const create = (ref: ChainRef, chain?: NewChain): Change => make('create', ref, chain)

function make(verb: 'add' | 'create', ref: ChainRef, { base, ...notes }: NewChain = {}): Change {
  return change(verb, words(ref), messages.newChain, ref.family, () =>
    chainAttributes.encode({
      table: ref.table,
      name: ref.chain,
      hook: base && encodeHook(ref.family, base),
      policy: base?.policy,
      type: base?.type,
      userData: encodeNotes(notes),
    }),
  )
}

function encodeHook(family: TableFamily, { hook, priority, devices }: BaseChain) {
  const number = hooks[family][hook]
  if (number === undefined)
    throw errors.ERR_NETLINK_ARGUMENT({
      what: `hook of family ${family}`,
      value: hook,
      expected: Object.keys(hooks[family]).join(', '),
    })
  const [device, ...more] = devices ?? []
  return more.length > 0 ? { number, priority, devices } : { number, priority, device }
}

/** Deletes a chain with its rules; given devices, a netdev chain only lets go of those. Errors: `ENOENT`, `EBUSY` while others jump to it. */
export const del = (ref: ChainRef, { base }: Pick<NewChain, 'base'> = {}): Change =>
  change('delete', words(ref), messages.delChain, ref.family, () =>
    chainAttributes.encode({
      table: ref.table,
      name: ref.chain,
      hook: base && encodeHook(ref.family, base),
    }),
  )

/** The chains of a table. */
export const list = ({ family, table }: TableRef): Request<Chain[]> =>
  dump({
    operation: `list chains of ${family} ${table}`,
    message: messages.getChain,
    family,
    parse: (answers) =>
      answers.flatMap((answer) => decode(answer) ?? []).filter((chain) => chain.table === table),
  })

function decode(message: Message): Chain | undefined {
  const family = familyOf(message)
  if (!family) return undefined
  const chain = chainAttributes.decode(attributesOf(message))
  const { table = '', name = '', handle = 0, userData } = chain
  return present({
    family,
    table,
    chain: name,
    handle,
    base: decodeBase(family, chain),
    ...decodeNotes(userData),
  })
}

function decodeBase(
  family: TableFamily,
  { hook, type, policy }: ReturnType<typeof chainAttributes.decode>,
): BaseChain | undefined {
  if (!hook) return undefined
  const { number, priority = 0, device, devices = device === undefined ? undefined : [device] } = hook
  const names = Object.entries(hooks[family]) as [Hook, number][] // the keys of the table above
  return present({
    type: type as BaseChain['type'], // the kernel has no others
    hook: names.find(([, value]) => value === number)?.[0] ?? 'prerouting',
    priority,
    policy: policy === 'drop' ? ('drop' as const) : ('accept' as const),
    devices,
  })
}

const words = ({ family, table, chain }: ChainRef) => `chain ${family} ${table} ${chain}`
