import { podKey } from '@podwire/api'
import { afterDashes, command, type DefineCommand } from '../command.ts'
import { errors } from '../errors.ts'
import { collect, type GlobalFlags, parseNameServer, parsePodName } from '../flags.ts'
import { withHost } from '../host.ts'
import { runCommand } from '../run-command.ts'

type Flags = GlobalFlags & { dns?: readonly string[] }

const define: DefineCommand = (does) =>
  command('exec', "run a command in a pod's network", 'podwire exec default/web -- ip route')
    .argument('<pod>', 'NAMESPACE/NAME')
    .argument('<command...>')
    .option('--dns <address>', 'the name server of the command; may be repeated', collect(parseNameServer))
    .passThroughOptions()
    .action(does((pod: string, words: string[], flags: Flags) => exec(pod, afterDashes(words), flags)))
export default define

async function exec(pod: string, words: readonly string[], flags: Flags): Promise<number> {
  const name = parsePodName(pod)
  return withHost(
    flags,
    async (host, { stateDir }) => {
      const record = await host.pod(name)
      if (!record) throw errors.NO_SUCH_POD({ pod: podKey(name) })
      return (await runCommand(words, record, { dns: flags.dns ?? [], stateDir })).exitCode
    },
    { lenient: true, recover: false },
  )
}
