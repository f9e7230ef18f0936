import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NetworkHost, SandboxRecord } from '@podwire/core'
import { afterDashes, command, type DefineCommand, withPodFlags } from '../command.ts'
import { printDenied, printSuggested, watchDenied } from '../denied-report.ts'
import {
  collect,
  type GlobalFlags,
  type JsonFlag,
  type PodFlags,
  parseNameServer,
  parsePodName,
  parseTimeout,
  podOfFlags,
} from '../flags.ts'
import { withHost } from '../host.ts'
import { printJson, printNote } from '../output.ts'
import { podJson } from '../pod.ts'
import { printReached, watchReached } from '../reached-report.ts'
import { runCommand } from '../run-command.ts'
import { interrupted } from '../signals.ts'
import { knownOf, suggestRules } from '../suggested-rules.ts'

type Flags = GlobalFlags &
  PodFlags &
  JsonFlag & {
    name?: string
    replace?: boolean
    timeout?: number
    dns?: readonly string[]
    report?: boolean
    suggest?: boolean
  }

const define: DefineCommand = (does) =>
  withPodFlags(
    command(
      'run',
      'run a command in a sandbox of its own, which goes when the command ends',
      'podwire run -p 8080:80 --timeout 5m -- node server.js',
    ),
  )
    .argument('<command...>')
    .option('--name <pod>', 'NAMESPACE/NAME (default: a name of its own)')
    .option('--replace', 'tear down the pod that has this name already')
    .option(
      '--timeout <duration>',
      'end the command after this time, such as 30s, and exit with 124',
      parseTimeout,
    )
    .option('--dns <address>', 'the name server of the command; may be repeated', collect(parseNameServer))
    .option('--report', 'print on stderr what was reached and what was denied, at the end')
    .option('--suggest', 'print on stderr the flags that would have allowed it, at the end')
    .option('--json', 'print how it ended as JSON; what the command prints goes to stderr')
    .passThroughOptions()
    .action(does((words: string[], flags: Flags) => runInSandbox(afterDashes(words), flags)))
export default define

/** So long does it take until a host tells what a policy denied. */
const deniedDelayMs = 500

/** Up, the command, and down whatever happens; the exit code is the command's. */
async function runInSandbox(words: readonly string[], flags: Flags): Promise<number> {
  const { name, replace = false, timeout, dns = [], json = false } = flags
  const { report = false, suggest = false } = flags
  const pod = parsePodName(name ?? `default/run-${randomBytes(4).toString('hex')}`)
  const asked = await podOfFlags(pod, flags)
  return withHost(flags, async (host, { stateDir }) => {
    // To listen to a daemon takes time, which nobody needs to wait who doesn't ask.
    const denied = report || suggest || json ? watchDenied(host.events) : undefined
    const reached = report ? await watchReached(host) : undefined
    if (replace) await host.tearDownPod(pod, { signal: interrupted })
    // Should this process be killed, the next one tears the pod down.
    const request = { ...asked, ownerPid: process.pid, mustBeNew: true }
    const record = await host.setUpPod(request, { signal: interrupted })
    const ended = await runCommand(words, record, { dns, stateDir, timeout, keepStdout: json }).finally(
      async () => {
        // What it tried last is told a little later.
        if (record.pod.policy && denied) await sleep(deniedDelayMs)
        await tearDownOurs(host, record)
        // All that it reached is known when it is gone.
        await reached?.end()
      },
    )
    const refused = denied?.of(record.pod) ?? { flows: [], isIncomplete: false }
    const { flows } = refused
    const ways = reached?.of(record.pod)
    if (report) {
      if (ways) printReached(ways, reached?.isIncomplete ?? false)
      else printNote('what was reached is not known: the network plugin does not tell')
      printDenied(refused)
    }
    // A daemon may be gone by now, and the command has ended as it did.
    const others = suggest ? await host.pods().catch(() => []) : []
    const suggestions = suggest ? suggestRules(flows, knownOf(others)) : undefined
    if (suggestions) printSuggested(flows, suggestions, record.pod.policy !== undefined)
    if (json) {
      const told = {
        ...(ways ? { reached: ways } : {}),
        ...(record.pod.policy ? { denied: flows } : {}),
        ...suggestions,
      }
      printJson({ ...podJson(record), ...ended, ...told })
    }
    return ended.exitCode
  })
}

/** Somebody may have torn it down and set up another of its name. */
async function tearDownOurs(host: NetworkHost, { pod }: SandboxRecord): Promise<void> {
  const found = await host.pod(pod)
  if (found && isOurs(found)) await host.tearDownPod(pod)
}

function isOurs({ owner }: SandboxRecord): boolean {
  return owner?.pid === process.pid
}
