import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { Policy } from '@podwire/api'
import { inSandbox, type NetworkHost, type SandboxRecord } from '@podwire/core'
import { type Figure, figure, median } from './figure.ts'
import { podOf, startHost } from './kubenet-host.ts'
import { namesAndNetworks } from './policy.ts'
import { stream } from './tcp.ts'

const rounds = Number(process.env['PODWIRE_BENCH_ROUNDS'] ?? 5)
const manyPods = Number(process.env['PODWIRE_BENCH_PODS'] ?? 1_000)
const connectingMs = 2_000
const network = '10.126.0.0/16'

/** What lets two pods speak with each other, among much else. */
const policy: Policy = {
  egress: { default: 'deny', allow: [...namesAndNetworks, { cidr: network }] },
  ingress: { default: 'deny', allow: [{ cidr: network }] },
}

interface Rates {
  /** Gbit in a second, of one TCP stream. */
  readonly streams: number[]
  /** In a second. */
  readonly connections: number[]
}

/** What guard and policy cost the traffic of pods: between two of them with the rules, and with no firewall at all; and beside 998 others. */
export async function policyTraffic(): Promise<Figure[]> {
  if (spawnSync('iperf3', ['--version']).status !== 0) {
    console.error('bench: the traffic of pods with a policy is skipped; it needs: apt-get install iperf3')
    return []
  }
  const dir = mkdtempSync('/run/podwire-bench-')
  // Nobody is asked anything, and nobody puts rules back until that is asked for.
  const host = await startHost(dir, 'routed', network, { nameServers: ['192.0.2.53'], repairInterval: 0 })
  const [withRules, without, amongMany] = [noRates(), noRates(), noRates()]
  try {
    const server = await host.setUpPod({ ...podOf('server'), policy })
    const client = await host.setUpPod({ ...podOf('client'), policy })
    const table = `podwire-${readFileSync(`${dir}/state/plugins/kubenet/id`, 'utf8').slice(0, 8)}`
    for (let round = 0; round < rounds; round++) {
      await measure(server, client, withRules)
      execFileSync('nft', ['delete', 'table', 'inet', table])
      await measure(server, client, without)
      await host.repair()
    }
    for (let pod = 2; pod < manyPods; pod++) await host.setUpPod({ ...podOf(`other-${pod}`), policy })
    for (let round = 0; round < rounds; round++) await measure(server, client, amongMany)
  } finally {
    await downAndClosed(host)
    rmSync(dir, { recursive: true, force: true })
  }
  const row = (
    name: string,
    unit: string,
    ours: readonly number[],
    reference: readonly number[],
    goal: string,
  ) => figure({ bench: 'policy', row: name, unit, ours: median(ours), reference: median(reference), goal })
  return [
    row(
      'one TCP stream between two pods with a policy; with no rules at all',
      'Gbit/s',
      withRules.streams,
      without.streams,
      '≥ 0.95',
    ),
    row(
      'TCP connections between them; with no rules at all',
      '/s',
      withRules.connections,
      without.connections,
      '≥ 0.9',
    ),
    row(
      `the stream among ${manyPods} pods with a policy; among two`,
      'Gbit/s',
      amongMany.streams,
      withRules.streams,
      '≥ 0.9',
    ),
    row(
      `the connections among ${manyPods}; among two`,
      '/s',
      amongMany.connections,
      withRules.connections,
      '≥ 0.9',
    ),
  ]
}

const noRates = (): Rates => ({ streams: [], connections: [] })

async function measure(server: SandboxRecord, client: SandboxRecord, into: Rates): Promise<void> {
  into.streams.push(await stream([server, client]))
  into.connections.push(await connections(server, client))
}

async function connections(server: SandboxRecord, client: SandboxRecord): Promise<number> {
  const serving = await inSandbox(server, () => spawnNode(serve))
  await once(serving.stdout!, 'data')
  const asking = await inSandbox(client, () => spawnNode(connect(server.status?.ip ?? '')))
  const [counted] = await once(asking.stdout!, 'data')
  serving.kill()
  await Promise.all([once(serving, 'close'), asking.exitCode ?? once(asking, 'close')])
  return Number(String(counted)) / (connectingMs / 1000)
}

const spawnNode = (script: string): ChildProcess =>
  spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })

const serve = `require('net').createServer((s) => s.on('error', () => {}).resetAndDestroy()).listen(7000, () => console.log('there'))`

/** As fast as it goes, 32 at a time, each reset by the server; says how many there were. */
const connect = (address: string) => `
  const { connect } = require('net')
  const end = performance.now() + ${connectingMs}
  let done = 0, left = 32
  const next = () => {
    if (performance.now() > end) return --left || console.log(done)
    connect(7000, '${address}').on('error', () => {}).on('close', () => { done++; next() })
  }
  for (let i = 0; i < 32; i++) next()`

async function downAndClosed(host: NetworkHost): Promise<void> {
  for (const { pod } of await host.pods()) await host.tearDownPod(pod)
  await host.close()
}
