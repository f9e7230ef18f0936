// A node of a cluster, for a bench: node-process.ts NUMBER STATE_DIR PREFIX. It does what it is told by lines: `join`, `leave`,
// `reach ADDRESS`; and says what it did by lines of JSON, with the time of the clock that all processes share.
import { createSocket, type Socket } from 'node:dgram'
import { createInterface } from 'node:readline'
import { type Cluster, joinCluster } from '@podwire/cluster'
import { addresses, openNetlink } from '@podwire/netlink'
import { endpoint } from './machines.ts'

const [number = '', stateDir = '', prefix = ''] = process.argv.slice(2)
const port = 4_000
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const netlink = openNetlink()
const asker = createSocket('udp4')
let pod: Socket | undefined
let cluster: Cluster | undefined
/** Where an answer comes from, which it waits for. */
const waiting = new Set<string>()

const now = () => Number(process.hrtime.bigint()) / 1e6
const say = (what: string, more: object = {}) => console.log(JSON.stringify({ what, at: now(), ...more }))

/** What stands for a pod: an address of the pod CIDR, where somebody answers. */
async function bePod({ podCIDR }: { readonly podCIDR: string }): Promise<void> {
  const ip = podCIDR.replace(/0\/24$/, '2')
  await netlink.run(addresses.replace({ dev: 'lo', address: `${ip}/32` }))
  if (!pod) {
    const socket = createSocket('udp4')
    socket.on('message', (_message, { address, port: from }) => socket.send('!', from, address, () => {}))
    // By this address alone: what answers from another one is not what was asked.
    await new Promise<void>((resolve) => socket.bind(port, ip, resolve))
    pod = socket
  }
  say('joined', { ip })
}

function reach(address: string): void {
  waiting.add(address)
  const again = () => {
    if (!waiting.has(address)) return
    asker.send('?', port, address, () => {})
    setTimeout(again, 2)
  }
  again()
}

asker.on('message', (_message, { address }) => {
  if (waiting.delete(address)) say('reached', { ip: address })
})
asker.on('error', () => {})

createInterface({ input: process.stdin }).on('line', async (line) => {
  const [verb, address = ''] = line.split(' ')
  if (verb === 'reach') return reach(address)
  if (verb === 'leave') {
    await cluster?.stop({ release: true })
    return say('left')
  }
  cluster = await joinCluster({
    etcd: { endpoints: [endpoint], prefix },
    nodeName: `node-${number}`,
    interface: 'eth0',
    leaseTtl: 600,
    renewBefore: 300,
    stateDir,
    log: silent,
    onEvent: async (event) => {
      if (event.event === 'joined') await bePod(event.share)
    },
  })
})
say('ready')
