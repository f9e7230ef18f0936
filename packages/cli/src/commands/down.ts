import { podKey } from '@podwire/api'
import type { NetworkHost, PodName } from '@podwire/core'
import { command, type DefineCommand } from '../command.ts'
import { errors } from '../errors.ts'
import { type GlobalFlags, parsePodName } from '../flags.ts'
import { withHost } from '../host.ts'
import { printNote } from '../output.ts'
import { interrupted } from '../signals.ts'

type Flags = GlobalFlags & { all?: boolean; attachments?: boolean; force?: boolean }

const define: DefineCommand = (does) =>
  command(
    'down',
    "take a pod's network away; one that isn't there is fine",
    'podwire down default/web',
    'podwire down --all',
  )
    .argument('[pod]', 'NAMESPACE/NAME')
    .option('--all', 'every pod, but those that container runtimes attached')
    .option('--attachments', 'with --all: those too')
    .option('--force', 'where the plugin fails, give up on it and say what may be left')
    .action(does(down))
export default define

async function down(
  pod: string | undefined,
  { all = false, attachments = false, force = false, ...flags }: Flags,
): Promise<void> {
  if ((pod === undefined) !== all) throw errors.POD_OR_ALL()
  if (attachments && !all) throw errors.FLAG_WITHOUT_USE({ flag: '--attachments', of: '--all', is: 'a pod' })
  const named = pod === undefined ? undefined : parsePodName(pod)
  await withHost(
    flags,
    async (host) => {
      const pods = named ? await sandboxesOf(host, named) : await podsToGo(host, attachments)
      const results = await Promise.allSettled(pods.map((one) => tearDown(host, one, force)))
      const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
      if (failures.length > 0) throw new AggregateError(failures)
    },
    { lenient: true },
  )
}

/** Container runtimes may have attached one pod to several networks, each by a sandbox of its own. */
async function sandboxesOf(host: NetworkHost, name: PodName): Promise<PodName[]> {
  const records = await host.pods()
  const pods = records.map(({ pod }) => pod).filter((pod) => podKey(pod) === podKey(name))
  return pods.length > 0 ? pods : [name]
}

async function podsToGo(host: NetworkHost, attachments: boolean) {
  const records = await host.pods()
  const kept = attachments ? [] : records.filter(({ attachment }) => attachment)
  for (const { pod } of kept)
    printNote(
      `${podKey(pod)}: left alone, as a container runtime attached it; to tear it down too: podwire down ${podKey(pod)}, or podwire down --all --attachments`,
    )
  return records.filter((record) => !kept.includes(record)).map((record) => record.pod)
}

async function tearDown(host: NetworkHost, pod: PodName, force: boolean): Promise<void> {
  const left = await host.tearDownPod(pod, { signal: interrupted, force })
  for (const one of left) printNote(`${podKey(pod)}: may be left: ${one}`)
}
