import { messageOf, podKey } from '@podwire/api'
import type { NetworkHost, Readiness, SandboxRecord } from '@podwire/core'
import { command, type DefineCommand } from '../command.ts'
import { errors } from '../errors.ts'
import { exitCodeOf } from '../exit-code.ts'
import { type GlobalFlags, type JsonFlag, parsePodName } from '../flags.ts'
import { printFormerPods } from '../former-pods.ts'
import { type AboutHost, withHost } from '../host.ts'
import { print, printJson, printNote, printTable } from '../output.ts'
import { addressesOf, hasPolicy, podJson, printProblems } from '../pod.ts'
import { interrupted, unlessInterrupted } from '../signals.ts'

const define: DefineCommand = (does) =>
  command('status', 'show the plugin and the pods', 'podwire status default/web --json')
    .argument('[pod]', 'NAMESPACE/NAME')
    .option('--json', 'print JSON')
    .action(does(status))
export default define

interface Status {
  readonly plugin: { name: string; package?: string; version?: string; capabilities: readonly string[] }
  readonly readiness: Readiness
  /** As its plugin was told. */
  readonly podCIDR?: string
}

/** Exits with 1 while the plugin can't set pods up, with 2 while the configuration can't be used. */
async function status(
  pod: string | undefined,
  { json = false, ...flags }: GlobalFlags & JsonFlag,
): Promise<number> {
  const name = pod === undefined ? undefined : parsePodName(pod)
  return withHost(
    flags,
    async (host, about) => {
      const found = await read(host, about)
      const pods = name ? [await host.pod(name)].filter((one) => one !== undefined) : await host.pods()
      if (json) printJson({ plugin: found.plugin, ...found.readiness, pods: pods.map(podJson) })
      else printStatus(found, pods)
      if (name && pods.length === 0) {
        printNote(errors.NO_SUCH_POD({ pod: podKey(name) }).message)
        return 1
      }
      if (about.problem) return exitCodeOf([about.problem])
      return found.readiness.ready ? 0 : 1
    },
    { lenient: true, recover: false },
  )
}

async function read(host: NetworkHost, { problem, networkPlugin: name }: AboutHost): Promise<Status> {
  if (problem)
    return {
      plugin: { name: 'unknown', capabilities: [] },
      readiness: { ready: false, reason: messageOf(problem) },
    }
  try {
    const { from, start, capabilities } = await unlessInterrupted(host.plugin())
    return {
      plugin: {
        name: start.name,
        package: from.packageName,
        version: from.version,
        capabilities: capabilities(),
      },
      readiness: await unlessInterrupted(host.status()),
      podCIDR: start.podCIDR,
    }
  } catch (error) {
    interrupted.throwIfAborted()
    // What is set up is known all the same.
    const all: readonly unknown[] = error instanceof AggregateError ? error.errors : [error]
    const reason = all.map(messageOf).join('; ')
    return { plugin: { name, capabilities: [] }, readiness: { ready: false, reason } }
  }
}

function printStatus({ plugin, readiness, podCIDR }: Status, pods: readonly SandboxRecord[]): void {
  const from = plugin.package ? ` (${plugin.package}@${plugin.version})` : ''
  const can = plugin.capabilities.length > 0 ? `: ${plugin.capabilities.join(', ')}` : ''
  print(`plugin ${plugin.name}${from}${can}`)
  if (!readiness.ready) printNote(errors.NOT_READY({ plugin: plugin.name, reason: readiness.reason }).message)
  if (pods.length === 0) {
    print('no pods')
    return
  }
  const rows = pods.map((record) => [
    podKey(record.pod),
    record.phase,
    addressesOf(record).join(',') || '-',
    hasPolicy(record),
    record.setUpMs === undefined ? '-' : `${record.setUpMs.toFixed(1)} ms`,
    record.pod.netns,
  ])
  printTable([['POD', 'PHASE', 'ADDRESS', 'POLICY', 'SET UP IN', 'NETNS'], ...rows])
  printProblems(pods)
  if (podCIDR !== undefined) printFormerPods(pods, podCIDR)
}
