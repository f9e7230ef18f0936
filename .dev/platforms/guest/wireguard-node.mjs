// A node of a cluster: `NAME ENDPOINT PREFIX`. Reads `status`, `stop` and `release` as lines, and answers the first as JSON.
import { createInterface } from 'node:readline'
import { installed } from './report.mjs'

const { joinCluster } = await installed('@podwire/cluster')
const [nodeName, endpoint, prefix] = process.argv.slice(2)
let repairs = 0
const quiet = () => {}

const cluster = await joinCluster({
  etcd: { endpoints: [endpoint], prefix },
  nodeName,
  interface: 'eth0',
  leaseTtl: 600,
  renewBefore: 300,
  stateDir: `/run/state-${nodeName}`,
  log: { debug: quiet, info: quiet, warn: console.error, error: console.error },
  onEvent: ({ event }) => {
    if (event === 'repaired') repairs++
  },
})
console.log('ready')
for await (const line of createInterface({ input: process.stdin })) {
  if (line !== 'status') {
    await cluster.stop({ release: line === 'release' })
    process.exit()
  }
  const { share, problem } = cluster
  // Numbers of subnets are larger than JSON has.
  const plain = share && { podCIDR: share.podCIDR, mtu: share.mtu }
  console.log(JSON.stringify({ share: plain, problem, peers: cluster.peers(), repairs }))
}
