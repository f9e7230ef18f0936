// A node in a process of its own, which tests stop and kill: member-process.ts ENDPOINT PREFIX NODE ADDRESS STATE_DIR LEASE_SECONDS
// It prints a line whenever what it may do has changed, and what it finds every 20 ms while it holds its lease.
import { openEtcd } from '../../src/etcd/client.ts'
import { keysOf } from '../../src/layout/keys.ts'
import { podCIDROf } from '../../src/layout/pod-subnets.ts'
import { keepLeaseTable } from '../../src/leases/lease-table.ts'
import { startMember } from '../../src/leases/member.ts'

const [endpoint = '', prefix = '', nodeName = '', publicIP = '', stateDir = '', leaseTtl = ''] =
  process.argv.slice(2)
const etcd = openEtcd({ endpoints: [endpoint] })
const keys = keysOf(prefix)
const log = { debug() {}, info() {}, warn() {}, error() {} }
const say = (...words: unknown[]) => process.stdout.write(`${words.join(' ')}\n`)

const member = startMember({
  etcd,
  keys,
  nodeName,
  describe: ({ backend }) => ({ publicIP, backendType: backend.type }),
  leaseTtl: Number(leaseTtl),
  renewBefore: Number(leaseTtl) / 2,
  stateDir,
  log,
  onChange: (membership) =>
    say(
      membership.state,
      membership.state === 'joined' ? podCIDROf(membership.lease.subnets) : membership.reason,
    ),
})
keepLeaseTable({ etcd, keys, log, onChanges: member.noticed })
setInterval(() => {
  if (member.holds()) say('holds', process.uptime())
}, 20)
