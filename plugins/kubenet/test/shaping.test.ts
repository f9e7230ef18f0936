import { links, openNetlink } from '@podwire/netlink'
import { expect, it } from 'vitest'
import { describeDatapaths, run, useMachine } from './support/machine.ts'
import { type Peer, wait } from './support/peer.ts'

describeDatapaths('a bandwidth limit (%s)', (datapath) => {
  const machine = useMachine(datapath)
  const limits = (ingress?: string, egress?: string) => ({
    annotations: {
      ...(ingress ? { 'kubernetes.io/ingress-bandwidth': ingress } : {}),
      ...(egress ? { 'kubernetes.io/egress-bandwidth': egress } : {}),
    },
  })

  // Counted by the kernel where the packets arrive: a program that gets no processor for a while reads in jumps.
  async function measure(from: Peer, to: string): Promise<number> {
    const isToPod = to === '10.88.0.2'
    using netlink = openNetlink(isToPod ? { netns: machine.netnsOf('a') } : {})
    const arrived = () => ({ bytes: isToPod ? received() : drained(), at: performance.now() })
    const received = () => netlink.runSync(links.get('eth0')).statistics?.rxBytes ?? 0
    // What came from the pod; where that is limited, what left the ifb that it is led through.
    const host = machine.linkOf('a')
    const isLed = run('tc', ['qdisc', 'show', 'dev', host]).includes('ingress')
    const drained = () => {
      const ifb = machine.traces().links.find((name) => name.startsWith('pwi'))
      const { statistics } = netlink.runSync(links.get(isLed && ifb ? ifb : host))
      return (isLed ? statistics?.txBytes : statistics?.rxBytes) ?? 0
    }
    const pouring = from.pour(to, 5001, 2600)
    // TCP has found its speed after a while.
    await wait(800)
    const begin = arrived()
    await wait(1600)
    const end = arrived()
    await pouring
    return ((end.bytes - begin.bytes) * 8) / (end.at - begin.at) / 1e3
  }

  // A machine that is busy with other tests may send less for a while, but never more.
  async function expectRate(from: Peer, host: string, megabits: number) {
    let rate = await measure(from, host)
    for (let again = 0; again < 3 && rate < 0.9 * megabits; again++) rate = await measure(from, host)
    expect(rate).toSatisfy(isWithinTenth(megabits))
  }

  it('holds within a tenth both ways, and a changed one takes effect on a pod that runs', async () => {
    await machine.start()
    await machine.pod('a', limits('20M', '8M'))
    const [inA, onHost] = await Promise.all([machine.peer('a'), machine.peer()])
    await Promise.all([inA.sink(5001), onHost.sink(5001)])
    const expectRates = async (ingress: number, egress: number) => {
      await expectRate(onHost, '10.88.0.2', ingress)
      await expectRate(inA, '10.88.0.1', egress)
    }
    await expectRates(20, 8)
    // What waits of a fast line must not get stuck in a slow one.
    const pouring = onHost.pour('10.88.0.2', 5001, 600)
    await machine.again('a', limits('100M', '50M'))
    await pouring
    await machine.again('a', limits('10M', '50M'))
    await expectRates(10, 50)
  })

  it('goes when its annotation goes, and comes to a pod that had none', async () => {
    await machine.start()
    await machine.pod('a')
    const [inA, onHost] = await Promise.all([machine.peer('a'), machine.peer()])
    await Promise.all([inA.sink(5001), onHost.sink(5001)])
    await machine.again('a', limits('10M', '10M'))
    await expectRate(inA, '10.88.0.1', 10)
    await machine.again('a')
    expect(await measure(onHost, '10.88.0.2')).toBeGreaterThan(100)
    expect(await measure(inA, '10.88.0.1')).toBeGreaterThan(100)
    await machine.again('a', limits('10M', '10M'))
    expect(await measure(onHost, '10.88.0.2')).toSatisfy(isWithinTenth(10))
  })

  it('that is no quantity refuses the pod, and leaves nothing', async () => {
    await machine.start()
    await expect(machine.pod('a', limits('fast'))).rejects.toMatchObject({ code: 'INVALID_BANDWIDTH' })
    expect(machine.traces().links).toEqual([])
  })

  it('that someone removed is found by checkPod, and comes back with the next set-up', async () => {
    await machine.start()
    await machine.pod('a', limits('10M', '10M'))
    const pod = machine.host.pods.get('a')!
    const check = () => machine.plugin.checkPod!(pod, new AbortController().signal)
    await check()
    const [host] = machine.traces().links.filter((name) => !name.startsWith('pwi'))
    run('tc', ['qdisc', 'del', 'dev', host!, 'root'])
    run('tc', ['qdisc', 'del', 'dev', host!, 'ingress'])
    await expect(check()).rejects.toThrow(/ingress bandwidth.*egress bandwidth/)
    await machine.again('a', limits('10M', '10M'))
    await check()
  })
})

const isWithinTenth = (limit: number) => (rate: number) => Math.abs(rate - limit) <= limit / 10
