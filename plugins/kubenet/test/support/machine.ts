import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { HairpinMode, NetworkPlugin, Pod, PodNetworkStatus } from '@podwire/api'
import { addresses, createNetns, links, openNetlink, removeNetns, routes } from '@podwire/netlink'
import koffi from 'koffi'
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { type DatapathName, datapathNames } from '../../src/datapath/datapath.ts'
import { defaultOptions, type KubenetOptions } from '../../src/options.ts'
import { createKubenet } from '../../src/plugin.ts'
import { createTestHost, type PodSettings, type TestHost } from './host.ts'
import { type Peer, startPeer } from './peer.ts'

/** Like describe, for tests that change a machine's network; they are skipped, and named, where that isn't allowed. */
export const describeIsolated = describe.skipIf(process.env.PODWIRE_TEST_ISOLATED !== '1')

/** The same tests over both data paths. */
export const describeDatapaths = describeIsolated.each(datapathNames)

export interface Settings {
  hairpinMode?: HairpinMode
  nonMasqueradeCIDR?: string
  mtu?: number
  podCIDR?: string
  /** Whether the host stays, which it does by default. */
  resident?: boolean
  options?: Partial<KubenetOptions>
}

export interface Machine {
  readonly host: TestHost
  readonly plugin: NetworkPlugin
  readonly stateDir: string
  readonly warnings: string[]
  /** By which a pod reaches everything, in IPv4. */
  readonly gateway: string
  /** The name of the firewall's tables, also before the plugin is started. */
  readonly table: string
  /** Starts the plugin, or starts it anew on the same state, as another process would. */
  start(settings?: Settings): Promise<NetworkPlugin>
  /** Makes a sandbox known to the host, with a namespace of its own. */
  sandbox(id: string, settings?: PodSettings): Pod
  /** Makes a sandbox and sets its pod up. */
  pod(id: string, settings?: PodSettings): Promise<PodNetworkStatus>
  /** Sets a pod up again, with other settings when given. */
  again(id: string, settings?: PodSettings): Promise<PodNetworkStatus>
  remove(id: string): Promise<void>
  netnsOf(id: string): string
  /** The host's end of a pod's link. */
  linkOf(id: string): string
  /** A program in a sandbox, stopped after the test; without a sandbox on the host. */
  peer(id?: string): Promise<Peer>
  /** A program in a namespace of whatever path. */
  peerIn(path: string): Promise<Peer>
  /** A namespace that the host reaches by a link of its own: 192.0.2.2, 10.99.0.2 and 2001:db8::2, and these, of IPv4. */
  outside(...also: readonly string[]): Promise<Peer>
  /** What a tear-down of everything must leave as it found it. */
  traces(): Traces
}

export interface Traces {
  links: string[]
  addresses: string[]
  pods: string[]
  elements: number
  /** Sets and chains of pods' policies. */
  policies: string[]
}

export const never = () => new AbortController().signal

/**
 * Everything in this process happens on a machine of its own: a network namespace that no other test file sees.
 * @param datapath what pods are connected by unless a test says otherwise
 */
export function useMachine(datapath: DatapathName = 'routed'): Machine {
  const peers: Peer[] = []
  const namespaces = new Set<string>()
  let host = createTestHost()
  let plugin: NetworkPlugin | undefined
  let stateDir = ''
  const warnings: string[] = []

  beforeAll(enterFreshNamespace)
  afterEach(async () => {
    for (const peer of peers.splice(0)) peer.stop()
    await plugin?.collectGarbage?.([], never())
    await plugin?.event('reset', {})
    await plugin?.close?.()
    plugin = undefined
    for (const path of namespaces) removeNetns(path)
    namespaces.clear()
    for (const link of ['cbr0', 'up0']) runQuietly('ip', ['link', 'del', link])
    runQuietly('nft', ['flush', 'ruleset'])
    if (stateDir) rmSync(stateDir, { recursive: true, force: true })
    stateDir = ''
    host = createTestHost()
    warnings.length = 0
  })
  afterAll(() => {
    for (const peer of peers) peer.stop()
  })

  const netnsOf = (id: string) => `/run/netns/kubenet-${process.pid}-${id}`

  function namespace(id: string): string {
    const path = netnsOf(id)
    if (!namespaces.has(path)) createNetns(path)
    namespaces.add(path)
    return path
  }

  /** With an id that is known before a host has one written down. */
  function ensureStateDir(): string {
    stateDir ||= mkdtempSync('/run/kubenet-')
    if (!existsSync(`${stateDir}/id`)) writeFileSync(`${stateDir}/id`, randomBytes(16).toString('hex'))
    return readFileSync(`${stateDir}/id`, 'utf8').trim()
  }

  const tableName = () => `podwire-${ensureStateDir().slice(0, 8)}`

  async function start({
    hairpinMode = 'hairpin-veth',
    nonMasqueradeCIDR = '10.0.0.0/8',
    mtu = 0,
    podCIDR = '10.88.0.0/16,fd88::/64',
    resident = true,
    options = {},
  }: Settings = {}) {
    await plugin?.close?.()
    stateDir ||= mkdtempSync('/run/kubenet-')
    const warn = (message: string) => void warnings.push(message)
    const log = { debug() {}, info() {}, warn, error: warn }
    plugin = createKubenet({
      options: { ...defaultOptions, datapath, repairInterval: 0, ...options },
      stateDir,
      log,
    })
    await plugin.init(host, { hairpinMode, nonMasqueradeCIDR, mtu, resident })
    await plugin.event('pod-cidr-change', { 'pod-cidr': podCIDR })
    return plugin
  }

  function sandbox(id: string, settings?: PodSettings) {
    return host.addPod(id, namespace(id), settings)
  }

  async function setUp(id: string, settings?: PodSettings) {
    const status = await plugin!.setUpPod(sandbox(id, settings), never())
    return status as PodNetworkStatus // kubenet always returns one
  }

  return {
    get host() {
      return host
    },
    get plugin() {
      return plugin!
    },
    get stateDir() {
      return stateDir
    },
    warnings,
    gateway: datapath === 'bridge' ? '10.88.0.1' : '169.254.1.1',
    get table() {
      return tableName()
    },
    start,
    sandbox,
    pod: setUp,
    again: setUp,
    remove: (id) => plugin!.tearDownPod({ namespace: 'test', name: id, sandboxId: id }, never()),
    netnsOf,
    linkOf(id) {
      using netlink = openNetlink()
      const all = netlink.runSync(links.list({ kind: 'veth' }))
      return all.find(({ alias }) => alias?.endsWith(` test/${id}`))?.name ?? ''
    },
    async peer(id) {
      const peer = await startPeer(id === undefined ? undefined : namespace(id))
      peers.push(peer)
      return peer
    },
    async peerIn(path) {
      const peer = await startPeer(path)
      peers.push(peer)
      return peer
    },
    async outside(...also) {
      connectOutside(namespace('outside'))
      for (const address of also) {
        run('ip', ['-n', basename(netnsOf('outside')), 'addr', 'add', `${address}/32`, 'dev', 'eth0'])
        run('ip', ['route', 'add', address, 'via', '192.0.2.2'])
      }
      const peer = await startPeer(netnsOf('outside'))
      peers.push(peer)
      return peer
    },
    traces: () => ({
      links: readdirSync('/sys/class/net').filter((name) => name.startsWith('pw')),
      addresses: filesIn(`${stateDir}/addresses`),
      pods: filesIn(`${stateDir}/pods`),
      elements: existsSync(`${stateDir}/id`) ? publishedPorts(tableName()) : 0,
      policies: existsSync(`${stateDir}/id`) ? policyObjects(tableName()) : [],
    }),
  }
}

export const nothing: Traces = { links: [], addresses: [], pods: [], elements: 0, policies: [] }

export const run = (file: string, args: string[]) =>
  execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

function runQuietly(file: string, args: string[]) {
  try {
    run(file, args)
  } catch {
    // What isn't there needs no removal.
  }
}

function filesIn(dir: string): string[] {
  try {
    return readdirSync(dir)
  } catch {
    return []
  }
}

function publishedPorts(table: string): number {
  const maps = ['ports4', 'ports6', 'address-ports4', 'address-ports6']
  return maps.reduce((sum, map) => {
    let listed: string
    try {
      listed = run('nft', ['-j', 'list', 'map', 'inet', table, map])
    } catch {
      // There are no tables before the first pod.
      return sum
    }
    return sum + portsIn(listed).length
  }, 0)
}

function policyObjects(table: string): string[] {
  let listed: string
  try {
    listed = run('nft', ['-t', 'list', 'table', 'inet', table])
  } catch {
    // There are no tables before the first pod.
    return []
  }
  return [...listed.matchAll(/(?:set|chain) (\S+-[0-9a-f]{32}) \{/g)].map(([, name = '']) => name).sort()
}

type ShownElement = [key: { concat: unknown[] }, value: { concat: unknown[] }]

/** The elements of a map of ports as nft lists it in JSON, without the one that is there from the beginning. */
export function portsIn(listed: string): ShownElement[] {
  const { nftables } = JSON.parse(listed) as { nftables: { map?: { elem?: ShownElement[] } }[] }
  return nftables
    .flatMap((entry) => entry.map?.elem ?? [])
    .filter(([, { concat }]) => concat[0] !== '0.0.0.0' && concat[0] !== '::')
}

const CLONE_NEWNET = 0x40000000
const CLONE_NEWNS = 0x20000
const MS_REC_PRIVATE = 0x44000

// Sockets, child processes and /proc/sys follow this thread. /sys shows the links of the namespace it was mounted in.
function enterFreshNamespace() {
  const libc = koffi.load(null)
  const unshare = libc.func('int unshare(int)')
  const mount = libc.func('int mount(const char *, const char *, const char *, unsigned long, const void *)')
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) !== 0) throw new Error('unshare failed')
  mount('none', '/', null, MS_REC_PRIVATE, null)
  mount('sysfs', '/sys', 'sysfs', 0, null)
  using netlink = openNetlink()
  netlink.runSync(links.set('lo', { up: true }))
  // The kernel sends a pod one refusal a second; tests ask more often than that.
  for (const limit of ['ipv4/icmp_ratelimit', 'ipv6/icmp/ratelimit'])
    writeFileSync(`/proc/sys/net/${limit}`, '0')
}

function connectOutside(netns: string) {
  using here = openNetlink()
  here.runSync(links.add({ kind: 'veth', name: 'up0', up: true, peer: { name: 'eth0', netns } }))
  here.runSync(addresses.add({ dev: 'up0', address: '192.0.2.1/24' }))
  here.runSync(addresses.add({ dev: 'up0', address: '10.99.0.1/24' }))
  here.runSync(addresses.add({ dev: 'up0', address: '2001:db8::1/64', noDad: true }))
  using there = openNetlink({ netns })
  there.runSync(links.set('eth0', { up: true }))
  there.runSync(addresses.add({ dev: 'eth0', address: '192.0.2.2/24' }))
  there.runSync(addresses.add({ dev: 'eth0', address: '10.99.0.2/24' }))
  there.runSync(addresses.add({ dev: 'eth0', address: '2001:db8::2/64', noDad: true }))
  // The way back to pods is known from the 10.99 network alone: elsewhere only the host's own address is answered.
  there.runSync(routes.add({ destination: '10.88.0.0/16', gateway: '10.99.0.1' }))
}
