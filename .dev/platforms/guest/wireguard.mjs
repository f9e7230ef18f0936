// Two nodes whose pods' packets WireGuard encrypts, on a kernel that has it: runs in the virtual machine, and prints a line for each test
// that the other side reads. Each node is a process in a namespace of its own; a bridge between them lets no TCP pass.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { installed, project, report, reportMachine, test } from './report.mjs'

const {
  addresses,
  createNetns,
  families,
  links,
  NETLINK_GENERIC,
  NETLINK_NETFILTER,
  namedNetns,
  openNetlink,
} = await installed('@podwire/netlink')
const { routes, wireguard, withNetns } = await installed('@podwire/netlink')
const nft = await installed('@podwire/netlink/nftables')
const { keysOf, openEtcd } = await installed('@podwire/cluster')
const here = new URL('.', import.meta.url).pathname
const hostAddress = '198.51.100.254'
const endpoint = `http://${hostAddress}:2379`
const psk = Buffer.alloc(32, 'shared').toString('base64')
// Emulated on a machine that has other things to do, everything takes its time.
const patienceMs = 300_000

const { hasIpv6 } = reportMachine()
if (await hasWireguard()) await tryWireguard()
else report({ name: 'WireGuard between nodes', skipped: 'this kernel has no module wireguard' })
report({ end: true })
process.exit()

/** Asking loads the module. */
async function hasWireguard() {
  const generic = openNetlink({ protocol: NETLINK_GENERIC })
  try {
    await generic.run(families.get(wireguard.FAMILY_NAME))
    return true
  } catch (error) {
    assert.equal(error.code, 'ENOENT')
    return false
  } finally {
    generic.close()
  }
}

async function tryWireguard() {
  await test('a link takes more peers and addresses than a message holds', fillLink)
  connectNodes()
  // A machine without names: not even localhost is one.
  const peers = 'http://127.0.0.1:2380'
  const urls = ['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint]
  const among = ['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers]
  spawn('etcd', ['--data-dir', '/tmp/etcd', ...urls, ...among, '--initial-cluster', `default=${peers}`], {
    stdio: 'ignore',
    // It says so of every processor but x64.
    env: { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch },
  })
  const etcd = openEtcd({ endpoints: [endpoint] })
  await until(() => etcd.get('x').then(() => true))
  for (const mode of hasIpv6 ? ['separate', 'auto'] : ['separate']) await tryMode(mode, etcd)
}

async function tryMode(mode, etcd) {
  const step = (name, run) => test(`WireGuard, ${mode}: ${name}`, run)
  const prefix = `/${mode}`
  const keys = keysOf(prefix)
  const names = mode === 'separate' && hasIpv6 ? ['podwire-wg', 'podwire-wg-v6'] : ['podwire-wg']
  let [a, b] = []
  let server

  await step('cluster init writes the network', () => {
    writeFileSync('/tmp/psk', `${psk}\n`)
    const family = hasIpv6 ? ['--ipv6', 'fd00:244::/48'] : []
    const network = ['--network', '10.244.0.0/16', ...family, '--backend', 'wireguard', '--mode', mode]
    const at = ['--endpoint', endpoint, '--prefix', prefix, '--psk-file', '/tmp/psk', '--keepalive', '20']
    const command = [`${project}/node_modules/.bin/podwire`, 'cluster', 'init', ...network, ...at]
    const { status, stdout, stderr } = spawnSync(process.execPath, command, {
      cwd: project,
      encoding: 'utf8',
    })
    assert.equal(status, 0, stdout + stderr)
  })
  await step('two nodes join', async () => {
    a = await startNode('a', prefix)
    b = await startNode('b', prefix)
    await until(async () => (await a.status()).peers.length === 1)
    for (const node of [a, b]) {
      const { share, problem, peers } = await node.status()
      assert.equal(problem, undefined)
      assert.equal(share.mtu, 1420)
      assert.equal(peers[0].problem, undefined)
    }
  })
  await step('wg shows keys, ports and peers as they are told', async () => {
    for (const name of names) {
      // A node knows the other one a moment before its links lead there.
      for (const node of ['a', 'b']) await until(async () => (await deviceIn(node, name)).peers.length === 1)
      const device = await deviceIn('a', name)
      const other = await deviceIn('b', name)
      const [own, peer, ...more] = inNode('a', 'wg', 'show', name, 'dump')
        .trim()
        .split('\n')
        .map((line) => line.split('\t'))
      assert.equal(more.length, 0)
      assert.deepEqual(own.slice(1), [device.publicKey, String(device.listenPort), 'off'])
      assert.equal(device.peers.length, 1)
      const [{ publicKey, presharedKey, endpoint: at, allowedIps, persistentKeepalive }] = device.peers
      assert.equal(publicKey, other.publicKey)
      assert.equal(presharedKey, psk)
      const address = at.address.includes(':') ? `[${at.address}]` : at.address
      assert.deepEqual(
        [peer[0], peer[1], peer[2], peer[3].split(',').sort(), peer[7]],
        [publicKey, psk, `${address}:${at.port}`, allowedIps.toSorted(), String(persistentKeepalive)],
      )
    }
  })
  await step('its private key is for its user alone', () => {
    assert.equal(statSync('/run/state-a/cluster/wireguard.key').mode & 0o777, 0o600)
  })
  await step('a connection goes from pod to pod, encrypted', async () => {
    server = await startPeer('b', 'serve', '80')
    const plain = withNetns(namedNetns('a'), () =>
      spawnSync('nc', ['-w', '5', '198.51.100.2', '80'], { input: '1\n', encoding: 'utf8' }),
    )
    assert.equal(plain.stdout, '', 'the bridge lets TCP pass, so that what comes next would say nothing')
    for (const family of hasIpv6 ? [4, 6] : [4]) await reaches(a, b, family)
    for (const name of names) {
      const [peer] = (await deviceIn('a', name)).peers
      assert.ok(
        peer.lastHandshake > Date.now() - patienceMs,
        `${name}: the last handshake was ${peer.lastHandshake}`,
      )
    }
    const carried = (await Promise.all(names.map((name) => deviceIn('a', name)))).map(
      ({ peers: [peer] }) => peer.rxBytes,
    )
    assert.ok(Math.min(...carried) > 100_000, `${names}: ${carried} bytes`)
  })
  await step('a link that somebody deletes is put back', async () => {
    inNode('a', 'ip', 'link', 'del', 'podwire-wg')
    await until(async () => (await a.status()).repairs > 0)
    await reaches(a, b, 4)
  })
  await step('a peer that somebody deletes is put back', async () => {
    const before = (await a.status()).repairs
    const [{ publicKey }] = (await deviceIn('a', 'podwire-wg')).peers
    inNode('a', 'wg', 'set', 'podwire-wg', 'peer', publicKey, 'remove')
    await until(async () => (await a.status()).repairs > before)
    assert.equal((await deviceIn('a', 'podwire-wg')).peers[0].publicKey, publicKey)
    await reaches(a, b, 4)
  })
  await step('a lease that wants what is another node has changes nothing', async () => {
    const whole = (await b.status()).share.podCIDR.split(',')[0].replace('.0/24', '.128-25')
    const value = (publicKey) =>
      JSON.stringify({
        PublicIP: '198.51.100.77',
        BackendType: 'wireguard',
        BackendData: { PublicKey: publicKey },
      })
    const before = await deviceIn('a', 'podwire-wg')
    const hostile = [
      { put: `${keys.subnets}${whole}`, value: value(Buffer.alloc(32, 'x').toString('base64')) },
      { put: `${keys.subnets}10.244.77.0-24`, value: value('garbage') },
    ]
    await etcd.transaction([], hostile)
    await until(async () => (await a.status()).peers.length === 3)
    const problems = (await a.status()).peers.map(({ problem }) => problem ?? '').sort()
    assert.match(problems.join('; '), /^; .*another lease.*; .*public key is not known$/)
    const known = ({ peers }) => peers.map(({ publicKey, allowedIps }) => ({ publicKey, allowedIps }))
    assert.deepEqual(known(await deviceIn('a', 'podwire-wg')), known(before))
    await reaches(a, b, 4)
    // Where the first is gone, the next one has it.
    await etcd.transaction(
      [],
      hostile.map(({ put }) => ({ delete: put })),
    )
  })
  await step('a node that stops keeps its key and its peers, and goes on with both', async () => {
    const before = await deviceIn('b', 'podwire-wg')
    await b.stop(false)
    await reaches(a, b, 4)
    b = await startNode('b', prefix)
    const after = await deviceIn('b', 'podwire-wg')
    assert.deepEqual([after.publicKey, after.index, after.peers.length], [before.publicKey, before.index, 1])
    await reaches(a, b, 4)
  })
  await step('a node that leaves takes its links with it, and the other forgets it', async () => {
    await b.stop(true)
    await until(async () => (await deviceIn('a', 'podwire-wg')).peers.length === 0)
    assert.deepEqual(routesIn('a'), [])
    await a.stop(true)
    for (const node of ['a', 'b']) assert.doesNotMatch(inNode(node, 'ip', 'link'), /podwire/)
    server?.kill()
  })
}

/** Sets and reads some hundred peers, and some thousand addresses of one. */
async function fillLink() {
  const netlink = openNetlink()
  const generic = openNetlink({ protocol: NETLINK_GENERIC })
  try {
    const family = await generic.run(families.get(wireguard.FAMILY_NAME))
    netlink.runSync(links.add({ kind: 'wireguard', name: 'full0' }))
    const keyOf = (at) => Buffer.alloc(32, String(at).padStart(8, '0')).toString('base64')
    const peers = Array.from({ length: 400 }, (_, at) => ({
      publicKey: keyOf(at),
      allowedIps: [`10.${at >> 8}.${at & 255}.0/24`],
    }))
    peers.push({
      publicKey: keyOf('many'),
      allowedIps: Array.from({ length: 4_000 }, (_, at) => `11.0.${at >> 8}.${at & 255}/32`),
    })
    const privateKey = keyOf('secret')
    await generic.batch(wireguard.set(family, 'full0', { privateKey, fwmark: 9, replacePeers: true, peers }))
    const device = await generic.run(wireguard.get(family, 'full0'))
    assert.equal(device.fwmark, 9)
    const plain = (all) =>
      all.map(({ publicKey, allowedIps }) => `${publicKey} ${allowedIps.toSorted()}`).sort()
    assert.deepEqual(plain(device.peers), plain(peers))
    const [first, second] = peers
    await generic.batch(
      wireguard.set(family, 'full0', {
        peers: [
          { publicKey: first.publicKey, remove: true },
          { publicKey: second.publicKey, replaceAllowedIps: true, allowedIps: ['12.0.0.0/8'] },
          { publicKey: keyOf('none'), updateOnly: true, allowedIps: ['13.0.0.0/8'] },
        ],
      }),
    )
    const { peers: left } = await generic.run(wireguard.get(family, 'full0'))
    assert.equal(left.length, peers.length - 1)
    assert.deepEqual(left.find(({ publicKey }) => publicKey === second.publicKey).allowedIps, ['12.0.0.0/8'])
    netlink.runSync(links.del('full0'))
    await assert.rejects(generic.run(wireguard.get(family, 'full0')), { code: 'ENODEV' })
  } finally {
    netlink.close()
    generic.close()
  }
}

/** A bridge with etcd's address, and two namespaces at it; between these no TCP passes that can be read. */
function connectNodes() {
  const netlink = openNetlink()
  netlink.runSync(links.add({ kind: 'bridge', name: 'br0', up: true }))
  netlink.runSync(addresses.add({ dev: 'br0', address: `${hostAddress}/24` }))
  for (const [at, name] of ['a', 'b'].entries()) {
    const netns = namedNetns(name)
    createNetns(netns)
    netlink.runSync(links.add({ kind: 'veth', name, master: 'br0', up: true, peer: { name: 'eth0', netns } }))
    const inside = openNetlink({ netns })
    inside.runSync(links.set('eth0', { up: true }))
    inside.runSync(addresses.add({ dev: 'eth0', address: `198.51.100.${at + 1}/24` }))
    if (hasIpv6)
      inside.runSync(addresses.add({ dev: 'eth0', address: `2001:db8:77::${at + 1}/64`, noDad: true }))
    inside.close()
    mkdirSync(`/run/state-${name}`, { mode: 0o700 })
  }
  netlink.close()
  const netfilter = openNetlink({ protocol: NETLINK_NETFILTER })
  const table = { family: 'bridge', table: 'between' }
  const chain = { ...table, chain: 'forward' }
  const etherType = (type) => [nft.meta('protocol'), nft.equals(Buffer.of(type >> 8, type & 255))]
  const isTcp = nft.equals(Buffer.of(6))
  netfilter.batchSync(
    nft.transaction([
      nft.tables.add(table),
      nft.chains.add(chain, { base: { type: 'filter', hook: 'forward', priority: 0 } }),
      nft.rules.add(chain, [...etherType(0x0800), nft.payload(nft.header.ip.protocol), isTcp, nft.drop]),
      nft.rules.add(chain, [...etherType(0x86dd), nft.payload(nft.header.ip6.nexthdr), isTcp, nft.drop]),
    ]),
  )
  netfilter.close()
}

/** From one node's address on its link to that of the other, which is one of its pods' too. */
async function reaches(from, to, family) {
  const firstOf = async (node) =>
    (await node.status()).share.podCIDR.split(',')[family === 4 ? 0 : 1].split('/')[0]
  const client = await startPeer(from.name, 'fetch')
  client.stdin.end(`${await firstOf(to)} 80 200000\n`)
  const answer = JSON.parse(await client.nextLine())
  assert.deepEqual(
    { from: answer.from, bytes: answer.bytes },
    { from: await firstOf(from), bytes: 200_000 },
    answer.message,
  )
}

async function startNode(name, prefix) {
  const node = await startInside(name, 'wireguard-node.mjs', name, endpoint, prefix)
  const ask = async (command) => {
    node.stdin.write(`${command}\n`)
    return JSON.parse(await node.nextLine())
  }
  let last
  return {
    name,
    // Of a node that was stopped, what it said last.
    status: async () => {
      if (node.exitCode === null) last = await ask('status')
      return last
    },
    async stop(release) {
      last = await ask('status')
      const ended = once(node, 'exit')
      node.stdin.write(release ? 'release\n' : 'stop\n')
      await ended
    },
  }
}

async function startPeer(netns, ...args) {
  return startInside(netns, 'peer.mjs', ...args)
}

/** Starts a program in a namespace, and waits until it is ready. */
async function startInside(netns, program, ...args) {
  const child = withNetns(namedNetns(netns), () =>
    spawn(process.execPath, [`${here}${program}`, ...args], {
      cwd: project,
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  )
  const lines = createInterface({ input: child.stdout })
  const waiting = []
  const asking = []
  lines.on('line', (line) => (asking.length > 0 ? asking.shift()(line) : waiting.push(line)))
  child.on('exit', () => asking.splice(0).forEach((resolve) => void resolve(undefined)))
  child.nextLine = async () => {
    const line = waiting.shift() ?? (await new Promise((resolve) => asking.push(resolve)))
    assert.ok(line !== undefined, `${program} ended`)
    return line
  }
  assert.equal(await child.nextLine(), 'ready')
  return child
}

function inNode(netns, command, ...args) {
  const { status, stdout, stderr } = withNetns(namedNetns(netns), () =>
    spawnSync(command, args, { encoding: 'utf8', timeout: patienceMs }),
  )
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

async function deviceIn(netns, name) {
  const generic = openNetlink({ netns: namedNetns(netns), protocol: NETLINK_GENERIC })
  try {
    return await generic.run(wireguard.get(await generic.run(families.get(wireguard.FAMILY_NAME)), name))
  } finally {
    generic.close()
  }
}

function routesIn(netns) {
  const netlink = openNetlink({ netns: namedNetns(netns) })
  try {
    return netlink.runSync(routes.list()).filter(({ protocol }) => protocol === 80)
  } finally {
    netlink.close()
  }
}

async function until(isSo) {
  const deadline = performance.now() + patienceMs
  for (let last; ; ) {
    const found = await Promise.resolve()
      .then(isSo)
      .catch((error) => {
        last = error
      })
    if (found) return
    assert.ok(performance.now() < deadline, `it did not become so${last ? `: ${last.message}` : ''}`)
    await sleep(250)
  }
}
