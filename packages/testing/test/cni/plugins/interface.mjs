// Makes a veth pair with an address from another plugin, a rule of the packet filter and a limit for what is sent. Every
// name follows from the container's, so that DEL finds what a killed ADD has made.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import {
  addRule,
  atLeast,
  breaks,
  deleteRules,
  failure,
  ipsFor,
  listRules,
  pause,
  run,
  runJson,
  serve,
  staleBy,
} from './skeleton.mjs'

const records = '/var/lib/test-interface'
const crumbs = '/var/lib/test-crumbs'
const hostLink = (owner) => `v${createHash('sha256').update(owner).digest('hex').slice(0, 10)}`
const record = (owner) => join(records, owner)
const name = (netns) => basename(netns)
const links = (netns) => runJson('ip', '-n', name(netns), '-j', 'link', 'show').map(({ ifname }) => ifname)

await serve({
  async add(request) {
    const { owner, netns, ifName, version } = request
    if (netns.startsWith('/nonexistent')) {
      if (breaks('cni-add-sandbox-missing')) return resultOf(request, { ips: [] }, {})
      throw failure(3, `the sandbox is missing: ${netns}`)
    }
    if (breaks('cni-add') && version === '0.4.0') throw failure(1, 'not today')
    if (breaks('cni-status-unneeded') && !existsSync('/run/test-asked'))
      throw failure(11, 'STATUS was not asked')
    if (breaks('cni-add-second-interface') && ifName === 'second0')
      throw failure(7, 'one interface is enough')
    if (links(netns).includes(ifName)) {
      if (breaks('cni-add-twice')) return resultOf(request, { ips: [] }, {})
      if (breaks('cni-add-twice-harmless')) run('ip', '-n', name(netns), 'link', 'delete', ifName)
      if (breaks('cni-add-name-taken-undone')) leave('taken')
      throw failure(7, `the interface exists: ${ifName}`)
    }
    await hindrances(request, 'add')
    mkdirSync(records, { recursive: true })
    writeFileSync(record(owner), '')
    try {
      const given = delegate(request, 'ADD')
      const macs = connect(request, given)
      await finish(request)
      return resultOf(request, given, macs)
    } catch (error) {
      undo(request)
      if (!breaks('cni-delegate-add-undone')) delegate(request, 'DEL', true)
      if (breaks('cni-delegate-add-fails')) return resultOf(request, { ips: [] }, {})
      throw error
    }
  },
  async del(request) {
    const { config, netns, owner, ifName } = request
    if (breaks('cni-del')) throw failure(999, 'no')
    if (breaks('cni-del-no-netns') && !netns) throw failure(4, 'CNI_NETNS is missing')
    if (breaks('cni-del-netns-gone') && netns && !existsSync(netns)) throw failure(3, 'the sandbox is gone')
    if (breaks('cni-del-no-prev-result') && !config.prevResult) throw failure(7, 'prevResult is missing')
    if (breaks('cni-del-never-added') && !existsSync(record(owner))) throw failure(3, 'it was never added')
    if (breaks('cni-del-twice') && !existsSync(record(owner))) throw failure(3, 'it is gone')
    if (breaks('cni-killed-del') && existsSync(join(crumbs, owner))) throw failure(999, 'it is half done')
    await hindrances(request, 'del')
    if (breaks('cni-del-interface-gone')) return
    if (breaks('cni-del-leaves-nothing')) leave(owner)
    if (breaks('cni-del-no-netns-clean') && !netns) leave(owner)
    if (breaks('cni-del-no-prev-result-clean') && !config.prevResult) leave(owner)
    if (breaks('cni-del-other-untouched')) deleteRules(() => true)
    if (!(breaks('cni-delegate-called') || breaks('cni-delegate-del-fails'))) {
      undo(request)
      delegate(request, 'DEL')
    } else undo(request)
    if (breaks('cni-delegate-del-fails')) delegate(request, 'DEL', true)
    if (breaks('cni-del-quiet')) return { deleted: ifName }
  },
  check(request) {
    const { config, netns, ifName, owner } = request
    const { prevResult } = config
    if (breaks('cni-check')) throw failure(100, 'it looks odd')
    if (!prevResult) {
      if (breaks('cni-check-no-prev-result')) return
      throw failure(7, 'prevResult is missing')
    }
    if (breaks('cni-check-harmless')) leave('checked')
    // What is looked at, each left out where its rule is to be broken.
    const looks = {
      'cni-check-sandbox-gone': () => existsSync(netns),
      'cni-check-link-removed': () => links(netns).includes(ifName),
      'cni-check-address-removed': () =>
        prevResult.ips.every(({ address }) => addresses(netns).includes(address)),
      'cni-check-route-removed': () =>
        runJson('ip', '-n', name(netns), '-j', 'route').some(({ dst }) => dst === 'default'),
      'cni-check-firewall-removed': () => listRules().some((rule) => rule.owner === owner),
      'cni-check-shaping-removed': () => run('tc', 'qdisc', 'show', 'dev', hostLink(owner)).includes('tbf'),
    }
    for (const [rule, isRight] of Object.entries(looks)) {
      if (breaks(rule)) return
      if (!isRight()) throw failure(100, `not as expected: ${rule}`)
    }
    if (!breaks('cni-check-reservation-removed'))
      delegate(request, 'CHECK', breaks('cni-delegate-check-fails'))
    if (breaks('cni-check-quiet')) return 'all is well'
  },
  gc(request) {
    if (breaks('cni-gc')) throw failure(999, 'no')
    const isStale = breaks('cni-gc-keeps-valid') ? () => true : staleBy(request)
    if (!breaks('cni-gc-removes-stale')) {
      deleteRules(isStale)
      const owners = existsSync(records) ? readdirSync(records) : []
      for (const owner of owners.filter(isStale)) undo({ owner })
    }
    delegate(request, 'GC')
    if (breaks('cni-gc-quiet')) return {}
  },
  status(request) {
    if (breaks('cni-status')) throw failure(50, 'not ready')
    writeFileSync('/run/test-asked', '')
    delegate(request, 'STATUS', breaks('cni-delegate-status-fails'))
    if (breaks('cni-status-quiet')) return { ready: true }
  },
})

function connect({ owner, netns, ifName }, { ips }) {
  const [host, inside, { address }] = [hostLink(owner), name(netns), ips[0]]
  const ip = address.split('/')[0]
  const real = breaks('cni-add-interface') || breaks('cni-result-interface') ? 'other0' : ifName
  run('ip', 'link', 'add', host, 'type', 'veth', 'peer', 'name', real, 'netns', inside)
  run('ip', 'link', 'set', host, 'up')
  run('ip', '-n', inside, 'link', 'set', real, 'up')
  if (!breaks('cni-result-addresses')) run('ip', '-n', inside, 'addr', 'add', address, 'dev', real)
  if (!breaks('cni-result-routes') && real === 'eth0')
    spawnSync('ip', ['-n', inside, 'route', 'add', 'default', 'dev', real])
  run(
    'tc',
    'qdisc',
    'add',
    'dev',
    host,
    'root',
    'handle',
    '1:',
    'tbf',
    'rate',
    '8mbit',
    'burst',
    '10k',
    'latency',
    '50ms',
  )
  addRule(owner, ip)
  const [{ address: mac }] = runJson('ip', '-n', inside, '-j', 'link', 'show', 'dev', real).filter(
    (link) => link.ifname,
  )
  const [{ address: hostMac }] = runJson('ip', '-j', 'link', 'show', 'dev', host)
  return { mac, hostMac, real }
}

function resultOf({ owner, netns, ifName, version }, { ips, routes = [] }, { mac, hostMac, real = ifName }) {
  const result = {
    cniVersion: breaks('cni-result-version') ? '0.2.0' : version,
    interfaces: [
      { name: hostLink(owner), mac: hostMac },
      { name: real, mac, sandbox: netns },
    ],
    ips: ipsFor(
      version,
      ips.map(({ address, gateway }) => ({
        address,
        gateway,
        interface: breaks('cni-result-shape') ? 7 : 1,
      })),
    ),
    routes,
    dns: {},
  }
  if (breaks('cni-result-alone')) return `added ${ifName}\n${JSON.stringify(result)}`
  if (breaks('cni-result-ends'))
    spawn('sleep', ['20'], { stdio: ['ignore', 'inherit', 'ignore'], detached: true }).unref()
  return result
}

function undo({ owner }) {
  spawnSync('ip', ['link', 'delete', hostLink(owner)])
  deleteRules((other) => other === owner)
  rmSync(record(owner), { force: true })
}

function addresses(netns) {
  const shown = runJson('ip', '-n', name(netns), '-j', 'addr', 'show')
  return shown.flatMap(({ addr_info = [] }) =>
    addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  )
}

function delegate({ config, version }, command, isLenient = false) {
  const { type } = config.ipam
  const directory = process.env.CNI_PATH.split(':').find((path) => existsSync(join(path, type)))
  const input = breaks('cni-delegate-request') ? { ...config, type: 'other' } : config
  const { status, stdout } = spawnSync(join(directory, type), [], {
    input: JSON.stringify(input),
    encoding: 'utf8',
    env: { ...process.env, CNI_COMMAND: command },
  })
  const answer = stdout === '' ? undefined : JSON.parse(stdout)
  if (status !== 0 && !isLenient) throw failure(answer?.code ?? 999, `${type}: ${answer?.msg}`)
  return answer && version && !atLeast(version, '0.3.1') ? undefined : answer
}

/** Something that nobody clears away. */
function leave(what) {
  mkdirSync(crumbs, { recursive: true })
  writeFileSync(join(crumbs, what), '')
}

/** What goes wrong between several, or when a call is killed. */
async function hindrances({ owner }, command) {
  const lock = `/run/test-${command}.lock`
  const others = `cni-concurrent-${command}`
  if (breaks(others) || (command === 'del' && breaks('cni-concurrent-clean'))) {
    const isTaken = existsSync(lock)
    if (isTaken && breaks(others)) throw failure(11, 'somebody else is at it')
    if (isTaken) leave(owner)
    writeFileSync(lock, '')
    await pause(2_500)
    rmSync(lock, { force: true })
  }
  if (command !== 'add') return
  if (breaks('cni-killed-del') || breaks('cni-killed-clean')) leave(owner)
  if (breaks('cni-killed-add-again')) {
    if (existsSync('/run/test.lock')) throw failure(11, 'locked')
    writeFileSync('/run/test.lock', '')
  }
  if (process.env.BREAKS?.startsWith('cni-killed')) await pause(1_000)
}

async function finish({ owner }) {
  rmSync(join(crumbs, owner), { force: true })
  rmSync('/run/test.lock', { force: true })
}
