// A network plugin that keeps every rule: a veth pair for each pod, a file for each lease. What is broken is made from it.
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  capabilitySet,
  definePlugin,
  ignoring,
  messageOf,
  type NetworkPlugin,
  type Pod,
  type PodRef,
  type ProbeContext,
  podKey,
  type StandardSchema,
} from '@podwire/api'

const exec = promisify(execFile)

interface Lease {
  readonly ip: string
  readonly netns: string
}

/** Runs a shell script; `set -e` holds. */
export async function sh(script: string, signal?: AbortSignal): Promise<string> {
  return (await exec('sh', ['-ec', script], { signal })).stdout
}

export const linkOf = ({ sandboxId }: PodRef) => `gd${sandboxId.slice(0, 10)}`
const tableOf = ({ sandboxId }: PodRef) => `good_${sandboxId}`

export function goodPlugin({ stateDir }: Pick<ProbeContext, 'stateDir'>): NetworkPlugin {
  const leases = join(stateDir, 'leases')
  const claims = join(stateDir, 'claims')
  const leaseOf = async ({ sandboxId }: PodRef): Promise<Lease | undefined> => {
    const text = await readFile(join(leases, sandboxId), 'utf8').catch(ignoring('ENOENT'))
    return text === undefined ? undefined : JSON.parse(text)
  }

  async function claim({ sandboxId, netns }: Pod): Promise<Lease> {
    for (let host = 2; host < 255; host++) {
      const ip = `10.213.0.${host}`
      const isTaken = await writeFile(join(claims, ip), sandboxId, { flag: 'wx' }).then(
        () => false,
        () => true,
      )
      if (isTaken) continue
      await writeFile(join(leases, sandboxId), JSON.stringify({ ip, netns }))
      return { ip, netns }
    }
    throw new Error('all addresses are taken')
  }

  async function connect(pod: Pod, { ip }: Lease, signal: AbortSignal): Promise<void> {
    const link = linkOf(pod)
    const there = await sh(`ip link show ${link}`).catch(() => undefined)
    if (there !== undefined) return
    const inside = `nsenter --net=${pod.netns} ip`
    await sh(
      `ip link add ${link} type veth peer name eth0 netns ${pod.netns}
       ip link set ${link} up; ip route add ${ip}/32 dev ${link}
       ${inside} addr add ${ip}/32 dev eth0; ${inside} link set eth0 up`,
      signal,
    )
  }

  async function apply(pod: Pod, { ip }: Lease): Promise<void> {
    const rate = pod.bandwidth?.ingress
    const link = linkOf(pod)
    if (rate) await sh(`tc qdisc replace dev ${link} root tbf rate ${rate}bit burst 256kb latency 25ms`)
    else await sh(`tc qdisc del dev ${link} root 2>/dev/null || true`)
    const table = tableOf(pod)
    const rules = pod.portMappings.map(
      ({ hostPort, containerPort, protocol }) =>
        `${protocol} dport ${hostPort} dnat to ${ip}:${containerPort}`,
    )
    const whole = `table ip ${table} {
      chain c {
        type nat hook prerouting priority -100
        ${rules.join('\n')}
      }
    }`
    await sh(`nft 'add table ip ${table}; delete table ip ${table}
${rules.length > 0 ? whole : ''}'`)
  }

  async function tearDown(pod: PodRef): Promise<void> {
    const lease = await leaseOf(pod)
    if (!lease) return
    await sh(`ip link delete ${linkOf(pod)} 2>/dev/null || true
      nft 'add table ip ${tableOf(pod)}; delete table ip ${tableOf(pod)}'`)
    await rm(join(claims, lease.ip), { force: true })
    await rm(join(leases, pod.sandboxId), { force: true })
  }

  return {
    name: 'good.test/ptp',
    async init() {
      await mkdir(leases, { recursive: true })
      await mkdir(claims, { recursive: true })
    },
    event() {},
    capabilities: () => capabilitySet('shaping', 'portMappings', 'check', 'gc'),
    async setUpPod(pod, signal) {
      const earlier = await leaseOf(pod)
      try {
        signal.throwIfAborted()
        const lease = earlier ?? (await claim(pod))
        await connect(pod, lease, signal)
        await apply(pod, lease)
        signal.throwIfAborted()
        return { ip: lease.ip }
      } catch (error) {
        if (!earlier) await tearDown(pod)
        throw new Error(`pod ${podKey(pod)}: ${messageOf(error)}`, { cause: error })
      }
    },
    tearDownPod: (pod) => tearDown(pod),
    async getPodNetworkStatus(pod) {
      const lease = await leaseOf(pod)
      return lease && { ip: lease.ip }
    },
    async status() {},
    async checkPod(pod) {
      if (!(await leaseOf(pod))) throw new Error(`pod ${podKey(pod)} is not set up`)
      await sh(`ip link show ${linkOf(pod)}`)
    },
    async collectGarbage(validSandboxIds) {
      for (const sandboxId of await readdir(leases)) {
        if (!validSandboxIds.includes(sandboxId)) await tearDown({ namespace: '', name: '', sandboxId })
      }
    },
  }
}

/** Options: none, or a greeting. */
export const goodOptions: StandardSchema<{ readonly greeting?: string }> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        return { issues: [{ message: 'expected an object' }] }
      const unknown = Object.keys(value).filter((key) => key !== 'greeting')
      return unknown.length > 0 ? { issues: [{ message: `unknown key ${unknown.join(', ')}` }] } : { value }
    },
  },
}

/** A package whose plugin is the good one, but for what `change` makes of it. */
export function variant(change: (good: NetworkPlugin, stateDir: string) => Partial<NetworkPlugin>) {
  return definePlugin({
    apiVersion: 1,
    options: goodOptions,
    probe: (context) => {
      const good = goodPlugin(context)
      return [{ ...good, ...change(good, context.stateDir) }]
    },
  })
}

export default definePlugin({
  apiVersion: 1,
  options: goodOptions,
  probe: (context) => [goodPlugin(context)],
})
