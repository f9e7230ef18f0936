import { expect, it } from 'vitest'
import {
  encodeAttributes,
  NETLINK_NETFILTER,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_EXCL,
  openNetlink,
  type Request,
  text,
} from '../src/transport.ts'
import { describeIsolated, useSandbox } from './sandbox.ts'

const NFNL_SUBSYS_NFTABLES = 10
const netfilter = (operation: string, type: number, flags: number, body: Buffer): Request<void> => ({
  operation,
  protocol: NETLINK_NETFILTER,
  type,
  flags,
  body: () => body,
  parse: () => {},
})
const frame = Buffer.of(0, 0, 0, NFNL_SUBSYS_NFTABLES)
const begin = netfilter('begin', 0x10, 0, frame)
const end = netfilter('commit', 0x11, 0, frame)
const table = (name: string) =>
  netfilter(
    `add table ${name}`,
    NFNL_SUBSYS_NFTABLES << 8,
    NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK,
    Buffer.concat([Buffer.of(2, 0, 0, 0), encodeAttributes([[1, text(name)]])]),
  )

describeIsolated('another protocol over the same transport', () => {
  const box = useSandbox()

  it('commits an nf_tables transaction as a whole, and reports which part was refused', async () => {
    using netlink = openNetlink({ netns: box.path, protocol: NETLINK_NETFILTER })
    netlink.batchSync([begin, table('one'), table('two'), end])
    await netlink.batch([begin, ...Array.from({ length: 300 }, (_, index) => table(`t${index}`)), end])
    const count = () => box.run('nft list tables').trim().split('\n').length
    expect(count()).toBe(302)
    expect(() => netlink.batchSync([begin, table('three'), table('one'), end])).toThrow(
      expect.objectContaining({
        code: 'EEXIST',
        details: expect.objectContaining({ operation: 'add table one', request: 2 }),
      }),
    )
    expect(count()).toBe(302)
  })

  it('reports the refusal of a message that asked for no answer', () => {
    using netlink = openNetlink({ netns: box.path, protocol: NETLINK_NETFILTER })
    const silent = { ...table('one'), flags: NLM_F_CREATE | NLM_F_EXCL }
    netlink.batchSync([begin, silent, end])
    expect(() => netlink.batchSync([begin, table('two'), silent, end])).toThrow(
      expect.objectContaining({ code: 'EEXIST' }),
    )
  })
})
