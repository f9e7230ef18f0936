import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { type CReference, missingForC, startCReference } from './c-reference.ts'
import { type Figure, figure, quantile } from './figure.ts'
import {
  type Datapath,
  datapaths,
  type Samples,
  setUpAndTearDown,
  startHost,
  warmUps,
} from './kubenet-host.ts'
import { settled } from './pods.ts'

const gateway = '10.122.0.1'
const blocks = 8
const podsInBlock = 40

/**
 * What a user waits for: a pod with kubenet by the library, everything included, one at a time; beside a C program that asks
 * the kernel for a network namespace, a link, an address and a route, and does nothing else. By each data path.
 */
export async function pod(): Promise<Figure[]> {
  const missing = missingForC()
  if (missing) {
    console.error(`bench: pod is skipped; it needs: ${missing}`)
    return []
  }
  const figures: Figure[] = []
  for (const datapath of datapaths) figures.push(...(await podBy(datapath)))
  return figures
}

async function podBy(datapath: Datapath): Promise<Figure[]> {
  const dir = mkdtempSync('/run/podwire-bench-')
  const isBridge = datapath === 'bridge'
  if (isBridge) makeBridge('c-bridge')
  else execFileSync('ip', ['address', 'add', `${gateway}/32`, 'dev', 'lo'])
  const c = startCReference(dir, { bridge: isBridge ? 'c-bridge' : '-', gateway, prefixLength: 16 })
  const host = await startHost(dir, datapath)
  try {
    await checkReference(c)
    for (let pod = 0; pod < warmUps; pod++) await setUpAndTearDown(host, [`warm-${pod}`])
    const ours: Samples = { up: [], down: [] }
    const reference: Samples = { up: [], down: [] }
    for (let block = 0; block < blocks; block++) {
      const names = Array.from({ length: podsInBlock }, (_, pod) => `block-${block}-${pod}`)
      add(reference, await addAndDel(c, names))
      await settled()
      add(ours, await setUpAndTearDown(host, names))
      await settled()
    }
    return (['up', 'down'] as const).flatMap((way) =>
      ([0.5, 0.99] as const).map((share) =>
        figure({
          bench: 'pod',
          row: `host.${way === 'up' ? 'setUpPod' : 'tearDownPod'} with kubenet, ${datapath}, p${share * 100}; the fewest messages, in C`,
          unit: 'ms',
          ours: quantile(ours[way], share),
          reference: quantile(reference[way], share),
          goal: way === 'up' && share === 0.5 && !isBridge ? '≤ 1.25' : '–',
        }),
      ),
    )
  } finally {
    await host.close()
    c.close()
    if (isBridge) execFileSync('ip', ['link', 'delete', 'c-bridge'])
    else execFileSync('ip', ['address', 'delete', `${gateway}/32`, 'dev', 'lo'])
    rmSync(dir, { recursive: true, force: true })
  }
}

async function addAndDel(c: CReference, names: readonly string[]): Promise<Samples> {
  const samples: Samples = { up: [], down: [] }
  for (const [index, name] of names.entries()) samples.up.push(await c.add(name, `10.122.1.${index + 1}`))
  for (const name of names) samples.down.push(await c.del(name))
  return samples
}

function add(all: Samples, more: Samples): void {
  all.up.push(...more.up)
  all.down.push(...more.down)
}

function makeBridge(name: string): void {
  execFileSync('ip', ['link', 'add', name, 'type', 'bridge'])
  execFileSync('ip', ['address', 'add', `${gateway}/16`, 'dev', name])
  execFileSync('ip', ['link', 'set', name, 'up'])
}

/** A figure beside a network that doesn't work says nothing: from a pod of the reference, one connects to the host. */
async function checkReference(c: CReference): Promise<void> {
  await c.add('check', '10.122.0.2')
  const server = createServer((socket) => socket.end(String(socket.remoteAddress)))
  await new Promise<void>((resolve) => server.listen(8000, gateway, resolve))
  try {
    const connect = `exec 3<>/dev/tcp/${gateway}/8000; cat <&3`
    const args = ['netns', 'exec', 'check', 'timeout', '10', 'bash', '-c', connect]
    const { stdout } = await promisify(execFile)('ip', args)
    if (stdout !== '10.122.0.2') throw new Error(`the C reference's pod comes from ${stdout || 'nowhere'}`)
  } finally {
    server.close()
    await c.del('check')
  }
}
