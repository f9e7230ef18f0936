import { podKey } from '@podwire/api'
import type { SandboxRecord } from '@podwire/core'
import { command, type DefineCommand } from '../command.ts'
import type { GlobalFlags, JsonFlag } from '../flags.ts'
import { withHost } from '../host.ts'
import { print, printJson, printTable } from '../output.ts'
import { addressesOf, ageOf, formatPort, hasPolicy, podJson, printProblems } from '../pod.ts'

const define: DefineCommand = (does) =>
  command('ps', 'list the pods and the processes in them', 'podwire ps')
    .option('--json', 'print JSON')
    .action(does(ps))
export default define

/** By the records alone: the plugin is neither loaded nor asked. */
async function ps({ json = false, ...flags }: GlobalFlags & JsonFlag): Promise<void> {
  const { sandboxProcesses } = await import('@podwire/core')
  await withHost(
    flags,
    async (host) => {
      const records = await host.pods()
      const listed = records.map((record) => ({ record, pids: sandboxProcesses(record) }))
      if (json) {
        printJson(listed.map(({ record, pids }) => ({ ...podJson(record), pids })))
        return
      }
      if (records.length === 0) print('no pods')
      else printTable([['POD', 'PHASE', 'ADDRESS', 'PORTS', 'POLICY', 'AGE', 'PIDS'], ...listed.map(row)])
      printProblems(records)
    },
    { lenient: true, recover: false },
  )
}

function row({ record, pids }: { record: SandboxRecord; pids: readonly number[] }): string[] {
  const { pod, phase } = record
  return [
    podKey(pod),
    phase,
    addressesOf(record).join(',') || '-',
    pod.portMappings.map(formatPort).join(',') || '-',
    hasPolicy(record),
    ageOf(record),
    pids.join(',') || '-',
  ]
}
