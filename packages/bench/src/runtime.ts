import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createNetns, removeNetns } from '@podwire/netlink'
import { type Figure, figure, median, timed } from './figure.ts'
import { endDaemon, installedPodwire, startDaemon } from './installed.ts'

const debian = '/usr/lib/cni'
const singles = 60
const many = 100
const atOnce = 8

/** One CNI plugin with its configuration, as a runtime has it. */
interface Plugin {
  readonly executable: string
  readonly config: object
}

/** What a container runtime waits for: the plugin from start to exit, ours with the daemon and kubenet behind it; beside Debian's. */
export async function runtime(): Promise<Figure[]> {
  if (!existsSync(`${debian}/bridge`)) {
    console.error('bench: runtime is skipped; it needs: apt-get install containernetworking-plugins')
    return []
  }
  const dir = mkdtempSync('/run/podwire-bench-')
  const daemon = await startDaemon(join(dir, 'state'), { networkPlugin: 'kubenet', podCIDR: '10.92.0.0/16' })
  try {
    const ours = install(dir)
    const bridge = bridgeIn(dir)
    // Compiled by then.
    for (let i = 0; i < 2; i++) await oneByOne('warm', [ours], [bridge])
    const one = await oneByOne('one', [ours], [bridge])
    const portmap = { executable: `${debian}/portmap`, config: { type: 'portmap', snat: true } }
    return [
      figure({
        bench: 'runtime',
        row: 'CNI ADD by the shim, start to exit, p50; bridge with host-local',
        unit: 'ms',
        ours: median(one.ours.add),
        reference: median(one.reference.add),
        goal: '≤ 1/2',
      }),
      figure({
        bench: 'runtime',
        row: 'the same, DEL',
        unit: 'ms',
        ours: median(one.ours.del),
        reference: median(one.reference.del),
        goal: '≤ 1/2',
      }),
      figure({
        bench: 'runtime',
        row: `${many} ADDs with a port, ${atOnce} at a time; bridge, host-local and portmap`,
        unit: 'pods/s',
        ours: await throughput('ours', [ours]),
        reference: await throughput('reference', [bridge, portmap]),
        goal: '≥ 5',
      }),
    ]
  } finally {
    await endDaemon(daemon.process)
    rmSync(dir, { recursive: true, force: true })
  }
}

function install(dir: string): Plugin {
  const { podwire } = installedPodwire()
  const [binDir, confDir] = [join(dir, 'bin'), join(dir, 'net.d')]
  for (const one of [binDir, confDir]) mkdirSync(one)
  const place = ['--bin-dir', binDir, '--conf-dir', confDir, '--state-dir', join(dir, 'state')]
  execFileSync(process.execPath, [podwire, 'cni', 'install', ...place], { stdio: ['ignore', 'ignore', 2] })
  const [file = ''] = readdirSync(confDir)
  const { plugins } = JSON.parse(readFileSync(join(confDir, file), 'utf8')) as { plugins: [{ type: string }] } // as installed
  return { executable: join(binDir, plugins[0].type), config: plugins[0] }
}

const bridgeIn = (dir: string): Plugin => ({
  executable: `${debian}/bridge`,
  config: {
    type: 'bridge',
    bridge: 'runtime0',
    isGateway: true,
    ipMasq: true,
    ipam: {
      type: 'host-local',
      dataDir: join(dir, 'leases'),
      subnet: '10.121.0.0/16',
      routes: [{ dst: '0.0.0.0/0' }],
    },
  },
})

interface Times {
  readonly add: number[]
  readonly del: number[]
}

/** In turn, so that a machine that slows down slows both. */
async function oneByOne(prefix: string, ours: readonly Plugin[], reference: readonly Plugin[]) {
  const times = { ours: { add: [], del: [] } as Times, reference: { add: [], del: [] } as Times }
  for (let i = 0; i < singles; i++) {
    for (const [name, plugins] of [
      ['ours', ours],
      ['reference', reference],
    ] as const) {
      const id = `${prefix}-${name}-${i}`
      createNetns(netnsOf(id))
      times[name].add.push(await timed(() => call('ADD', id, plugins)))
      times[name].del.push(await timed(() => call('DEL', id, plugins)))
      removeNetns(netnsOf(id))
    }
  }
  return times
}

/** Attachments in a second. */
async function throughput(prefix: string, plugins: readonly Plugin[]): Promise<number> {
  const ids = Array.from({ length: many }, (_, i) => `${prefix}-${i}`)
  for (const id of ids) createNetns(netnsOf(id))
  const waiting = ids.map((id, i) => ({ id, hostPort: 20_000 + i }))
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift())
      await call('ADD', next.id, plugins, next.hostPort)
  }
  const ms = await timed(() => Promise.all(Array.from({ length: atOnce }, work)))
  for (const id of ids) {
    await call('DEL', id, plugins)
    removeNetns(netnsOf(id))
  }
  return (many * 1000) / ms
}

const netnsOf = (id: string) => `/run/netns/podwire-bench-${id}`

/** A chain, by its order or against it. */
async function call(
  command: 'ADD' | 'DEL',
  id: string,
  plugins: readonly Plugin[],
  hostPort?: number,
): Promise<void> {
  const portMappings = hostPort === undefined ? [] : [{ hostPort, containerPort: 80, protocol: 'tcp' }]
  const env = {
    PATH: process.env['PATH'],
    CNI_COMMAND: command,
    CNI_CONTAINERID: id,
    CNI_NETNS: netnsOf(id),
    CNI_IFNAME: 'eth0',
    CNI_PATH: debian,
  }
  let prevResult: unknown
  for (const { executable, config } of command === 'ADD' ? plugins : [...plugins].reverse()) {
    const more = {
      ...(prevResult ? { prevResult } : {}),
      ...(portMappings.length > 0 ? { runtimeConfig: { portMappings } } : {}),
    }
    const child = spawn(executable, { env, stdio: ['pipe', 'pipe', 'inherit'] })
    child.stdin.end(JSON.stringify({ cniVersion: '1.0.0', name: 'podwire', ...config, ...more }))
    let answer = ''
    child.stdout.on('data', (piece) => {
      answer += piece
    })
    const [code] = await once(child, 'close')
    if (code !== 0) throw new Error(`${executable} ${command} ${id}: ${answer}`)
    if (command === 'ADD') prevResult = JSON.parse(answer)
  }
}
