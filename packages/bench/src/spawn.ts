import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import Module from 'node:module'
import { createCni, type NetworkConfigList, readNetworkFile } from '@podwire/libcni'
import { writeChain } from './chain.ts'
import { joined } from './cni.ts'
import { type Figure, figure, median } from './figure.ts'
import type { BenchPod, Times } from './go-reference.ts'
import { makePods, removePods, runAll } from './pods.ts'

const blocks = 5
const podsInBlock = 16

/** What a process is told: first who it is, then which pods to work on. */
interface Order {
  readonly operation: 'add' | 'del'
  readonly pods: readonly BenchPod[]
}

/**
 * An ADD of libcni in a process of some size, which starts plugins by posix_spawn, beside one that starts them as Node does: it
 * forks, which takes the longer the more memory there is.
 */
export async function spawn(): Promise<Figure[]> {
  const dir = mkdtempSync('/run/podwire-bench-')
  const conflist = writeChain(dir, { name: 'bench1' })
  const figures: Figure[] = []
  try {
    for (const megabytes of [100, 400]) {
      const [ours, reference] = await Promise.all(
        ['posix_spawn', 'node'].map((way) => startHost(dir, conflist, way, megabytes)),
      )
      if (!ours || !reference) throw new Error('two were started')
      const times: Record<'ours' | 'reference', Times[]> = { ours: [], reference: [] }
      for (let block = 0; block <= blocks; block++) {
        for (const [name, host] of Object.entries({ reference, ours })) {
          const pods = await makePods(`${name}-${megabytes}-${block}`, podsInBlock)
          const added = await ask(host, { operation: 'add', pods })
          await ask(host, { operation: 'del', pods })
          await removePods(pods)
          // The first block warms up.
          if (block > 0) times[name as keyof typeof times].push(added) // the keys of the object above
        }
      }
      for (const host of [ours, reference]) host.disconnect()
      figures.push(
        figure({
          bench: 'spawn',
          row: `libcni: ADD by posix_spawn, ${megabytes} MB in use, p50; by Node's fork`,
          unit: 'ms',
          ours: median(joined(times.ours).each),
          reference: median(joined(times.reference).each),
          goal: '≤ 0.9',
        }),
      )
    }
    return figures
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function startHost(
  dir: string,
  conflist: string,
  way: string,
  megabytes: number,
): Promise<ChildProcess> {
  const host = fork(new URL(import.meta.url), [dir, conflist, way, String(megabytes)])
  await once(host, 'message')
  return host
}

async function ask(host: ChildProcess, order: Order): Promise<Times> {
  host.send(order)
  const [times] = await once(host, 'message')
  return times
}

/** What runs in a process of its own. */
async function serve(dir: string, conflist: string, way: string, megabytes: number): Promise<void> {
  const network: NetworkConfigList = await readNetworkFile(conflist)
  const cni = createCni({ pluginDirectories: ['/usr/lib/cni'], cacheDirectory: `${dir}/${way}` })
  if (way === 'node') withholdKoffi()
  const held = Buffer.alloc(megabytes * 2 ** 20, 1)
  process.on('message', async ({ operation, pods }: Order) => {
    const times = await runAll(pods, 1, ({ id, netns }) =>
      cni[operation](network, { containerId: id, netns, ifName: 'eth0' }),
    )
    process.send?.(times)
  })
  process.send?.(`ready with ${held.length} bytes`)
}

/** Keeps koffi from what would start processes with it, and from nothing else. */
function withholdKoffi(): void {
  // A part of Node that its types leave out.
  const loader = Module as unknown as {
    _resolveFilename(request: string, parent?: { filename: string }): string
  }
  const resolve = loader._resolveFilename
  loader._resolveFilename = function (request, parent, ...rest) {
    if (request === 'koffi' && parent?.filename.includes('posix-spawn')) throw new Error('withheld')
    return resolve.call(this, request, parent, ...rest)
  }
}

if (process.send) {
  const [, , dir = '', conflist = '', way = '', megabytes = ''] = process.argv
  await serve(dir, conflist, way, Number(megabytes))
}
