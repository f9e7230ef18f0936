import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { keysOf, openEtcd, vxlanDefaults, writeNetwork } from '@podwire/cluster'
import { withNetns } from '@podwire/netlink'
import { type Figure, figure, median } from '../figure.ts'
import { endpoint, machineNetns } from './machines.ts'

const nodes = 10
const rounds = 15
const prefix = '/bench-join'

interface Said {
  readonly what: string
  /** Milliseconds of the clock that all processes share. */
  readonly at: number
  readonly ip?: string
}

/** A node of the cluster, a process on a machine of its own. */
interface Node {
  tell(line: string): void
  /** The next that it says of that kind. */
  next(what: string, ip?: string): Promise<Said>
  end(): void
}

/** From the call to join until all nodes reach the new one's pods, and it reaches theirs. */
export async function joinBench(): Promise<Figure[]> {
  const dir = mkdtempSync('/run/podwire-bench-')
  const etcd = openEtcd({ endpoints: [endpoint] })
  await writeNetwork(etcd, keysOf(prefix), {
    network: '10.244.0.0/16',
    backend: { type: 'vxlan', ...vxlanDefaults },
  })
  etcd.close()
  const all = Array.from({ length: nodes }, (_, at) => startNode(at + 1, dir))
  try {
    await Promise.all(all.map((node) => node.next('ready')))
    const addresses: string[] = []
    for (const node of all) {
      const joined = node.next('joined')
      node.tell('join')
      addresses.push((await joined).ip ?? '')
    }
    const last = all[nodes - 1]! // there are ten
    const others = all.slice(0, -1)
    const samples: number[] = []
    for (let round = 0; round < rounds; round++) {
      const left = last.next('left')
      last.tell('leave')
      await left
      const reached = [
        ...others.map((node) => node.next('reached', addresses[nodes - 1])),
        ...addresses.slice(0, -1).map((ip) => last.next('reached', ip)),
      ]
      const began = Number(process.hrtime.bigint()) / 1e6
      last.tell('join')
      // It has the pod CIDR of before, so its pod has the address of before.
      for (const node of others) node.tell(`reach ${addresses[nodes - 1]}`)
      for (const ip of addresses.slice(0, -1)) last.tell(`reach ${ip}`)
      samples.push(Math.max(...(await Promise.all(reached)).map(({ at }) => at)) - began)
    }
    return [
      figure({
        bench: 'cluster',
        row: `a node joins, until it and ${nodes - 1} others reach each other's pods, p50; the goal`,
        unit: 'ms',
        ours: median(samples),
        reference: 1_000,
        goal: '≤ 1',
      }),
    ]
  } finally {
    for (const node of all) node.end()
    rmSync(dir, { recursive: true, force: true })
  }
}

function startNode(number: number, dir: string): Node {
  const script = new URL('node-process.ts', import.meta.url).pathname
  const args = [...process.execArgv, script, String(number), `${dir}/node-${number}`, prefix]
  const child = withNetns(machineNetns(number), () =>
    spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] }),
  )
  const waiting: { what: string; ip: string | undefined; resolve: (said: Said) => void }[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said: Said = JSON.parse(line) // node-process.ts wrote it
    const at = waiting.findIndex(({ what, ip }) => what === said.what && (ip === undefined || ip === said.ip))
    if (at >= 0) waiting.splice(at, 1)[0]?.resolve(said)
  })
  return {
    tell: (line) => void child.stdin.write(`${line}\n`),
    next: (what, ip) => new Promise((resolve) => waiting.push({ what, ip, resolve })),
    end: () => void child.kill('SIGKILL'),
  }
}
