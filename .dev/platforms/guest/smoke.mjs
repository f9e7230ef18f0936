// What a user does, on this kernel and processor, with kubenet in both data paths: runs in the virtual machine, in a project where
// npm installed podwire, and prints a line for each test that the other side reads.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fetchFrom } from './peer.mjs'
import { installed, project, report, reportMachine, test } from './report.mjs'

const { addresses, links, NETLINK_NETFILTER, openNetlink, routes } = await installed('@podwire/netlink')
const nft = await installed('@podwire/netlink/nftables')
const peer = '/srv/smoke/peer.mjs'
// Of the only link that leads outside.
const host = '192.0.2.1'
const megabyte = 1_000_000
// Emulated on a machine that has other things to do, a command takes minutes.
const commandMs = 600_000

const { hasIpv6 } = reportMachine()
for (const datapath of ['routed', 'bridge']) await tryDatapath(datapath)
if (!hasIpv6) {
  await test('a dual-stack pod CIDR is refused, as this kernel has no IPv6', () => {
    configure('routed', '10.88.0.0/16,fd88::/64')
    const { status, stdout } = podwire(['doctor'])
    assert.equal(status, 1, stdout)
    assert.match(stdout, /network plugin +failed .*this kernel has no IPv6/)
    const up = podwire(['up', 'default/dual'])
    assert.equal(up.status, 1)
    assert.match(up.stderr, /this kernel has no IPv6/)
  })
}
report({ end: true })

async function tryDatapath(datapath) {
  const step = (name, run) => test(`${datapath}: ${name}`, run)
  configure(datapath, hasIpv6 ? '10.88.0.0/16,fd88::/64' : '10.88.0.0/16')
  const before = machine()

  await step('doctor finds nothing that hinders', () => {
    const { status, stdout } = podwire(['doctor'])
    assert.equal(status, 0, stdout)
    assert.match(stdout, /native calls +ok/)
    assert.match(stdout, /network plugin +ok +kubenet is ready/)
  })

  let pods = {}
  let server
  let client
  await step('up sets up two pods', async () => {
    succeeds(['up', 'default/a', '-p', '8080:80'])
    succeeds(['up', 'default/b'])
    pods = addressesOfPods()
  })
  await step('exec runs a program in a pod', async () => {
    server = await startInside('default/a', 'serve', '80')
    client = await startInside('default/b', 'fetch')
  })
  await step('a connection goes from pod to pod', async () => {
    for (const family of hasIpv6 ? [4, 6] : [4]) {
      const { from, bytes } = await client.fetch(pods.a[family], 80, 5)
      assert.deepEqual({ from, bytes }, { from: pods.b[family], bytes: 5 })
    }
  })
  await step('a published port is reached on the host, and on its loopback', async () => {
    for (const address of [host, '127.0.0.1']) assert.equal((await fetchFrom(address, 8080, 5)).bytes, 5)
  })
  await step('what goes to a pod is limited while it runs', () => {
    succeeds(['up', 'default/b', '--ingress', '2M'])
    return isLimited(() => client.fetch(pods.a[4], 80, megabyte))
  })
  await step('what comes from a pod is limited while it runs', () => {
    succeeds(['up', 'default/a', '-p', '8080:80', '--egress', '2M'])
    return isLimited(() => fetchFrom(pods.a[4], 80, megabyte))
  })
  await step('check finds the pods as they were set up', () => {
    for (const pod of ['default/a', 'default/b']) succeeds(['check', pod])
  })
  await step('run gives a command a network of its own, and its exit code', () => {
    const { status, stdout, stderr } = podwire(['run', '--', 'sh', '-c', 'ip -4 -o address; exit 7'])
    assert.equal(status, 7, stdout + stderr)
    assert.match(stdout, /eth0 +inet 10\.88\./)
  })
  await step('down and prune leave the machine as it was', async () => {
    succeeds(['down', '--all'])
    await Promise.all([server?.ended, client?.ended])
    succeeds(['prune', '--all'])
    assert.deepEqual(machine(), before)
  })
}

/** Two million bits per second take four seconds, less what the kernel lets go at once; without a limit it is a fraction of one. */
async function isLimited(fetchMegabyte) {
  const { bytes, ms } = await fetchMegabyte()
  assert.equal(bytes, megabyte)
  assert.ok(ms > 3_000, `a megabyte took ${ms} ms`)
}

function configure(datapath, podCIDR) {
  const config = { networkPlugin: 'kubenet', podCIDR, plugins: { kubenet: { datapath } } }
  writeFileSync(`${project}/podwire.config.json`, JSON.stringify(config))
}

function podwire(args) {
  const command = [`${project}/node_modules/.bin/podwire`, ...args]
  return spawnSync(process.execPath, command, { cwd: project, encoding: 'utf8', timeout: commandMs })
}

function succeeds(args) {
  const { status, signal, stdout, stderr } = podwire(args)
  assert.equal(status, 0, `podwire ${args.join(' ')}: ${signal ?? status}: ${stdout}${stderr}`)
  return stdout
}

function addressesOfPods() {
  const pods = {}
  for (const { name, ips } of JSON.parse(succeeds(['status', '--json'])).pods) {
    pods[name] = { 4: ips.find((ip) => !ip.includes(':')), 6: ips.find((ip) => ip.includes(':')) }
  }
  return pods
}

/** Starts one end of a connection in a pod, and waits until it is there. */
async function startInside(pod, ...args) {
  const command = [`${project}/node_modules/.bin/podwire`, 'exec', pod, '--', 'node', peer, ...args]
  const child = spawn(process.execPath, command, { cwd: project, stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })
  const nextLine = async () => {
    const line = once(lines, 'line', { signal: AbortSignal.timeout(commandMs) })
    const [found] = await Promise.race([line, ended.then(() => [])])
    assert.ok(found !== undefined, `podwire exec ${pod} ended`)
    return found
  }
  assert.equal(await nextLine(), 'ready')
  return {
    ended,
    /** What the one end got from the other. */
    async fetch(address, port, bytes) {
      child.stdin.write(`${address} ${port} ${bytes}\n`)
      return JSON.parse(await nextLine())
    },
  }
}

/** What is there of all that podwire may make. */
function machine() {
  const netlink = openNetlink()
  const netfilter = openNetlink({ protocol: NETLINK_NETFILTER })
  const names = netlink.runSync(links.list()).map(({ name }) => name)
  const list = (path) => (existsSync(path) ? readdirSync(path).sort() : [])
  try {
    return {
      // The kernel's module makes ifb0 and ifb1 by itself when it is loaded.
      links: names.filter((name) => !/^ifb[01]$/.test(name)),
      addresses: netlink.runSync(addresses.list()).map(({ address }) => address),
      routes: netlink
        .runSync(routes.list())
        .map(({ destination }) => destination)
        .sort(),
      tables: netfilter.runSync(nft.tables.list()).map(({ table }) => table),
      netns: list('/run/netns'),
      pods: [...list('/run/podwire/sandboxes'), ...list('/run/podwire/locks')],
      mounts: readFileSync('/proc/mounts', 'utf8')
        .split('\n')
        .filter((line) => line.includes('/run/netns/')),
    }
  } finally {
    netlink.close()
    netfilter.close()
  }
}
