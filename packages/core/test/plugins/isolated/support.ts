import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { recordingLogger } from '@podwire/testing'
import {
  createNetworkHost,
  type HostEvents,
  type NetworkHost,
  type PodwireConfig,
} from '../../../src/index.ts'
import { offering, workspace } from '../../workspace.ts'

const started: NetworkHost[] = []

/** Ends the hosts that were made, their pods with them. */
export async function closeHosts(): Promise<void> {
  await Promise.all(
    started.splice(0).map(async (host) => {
      await host.resetPlugin('x').catch(() => {})
      await host.prune({ all: true }).catch(() => {})
      await host.close()
    }),
  )
}

/** What happened, by event. */
type Seen = { [E in keyof HostEvents]?: HostEvents[E][] }

/** A host with one plugin in a process of its own, called x, whose methods `body` replaces. */
export async function isolatedHost(body = '', config: PodwireConfig = {}, code = offering('x', body)) {
  const files = await workspace()
  await files.plugin('podwire-plugin-x', { code })
  const log = recordingLogger()
  const seen: Seen = {}
  const stateDir = join(files.dir, 'state')
  const start = async () => {
    const host = await createNetworkHost({
      cwd: files.dir,
      stateDir,
      log,
      config: { networkPlugin: 'x', isolation: 'process', ...config },
      listen: (events) => {
        const keep = <E extends keyof HostEvents>(event: E) =>
          events.on(event, (payload) => {
            const list: HostEvents[E][] = seen[event] ?? []
            list.push(payload)
            Object.assign(seen, { [event]: list })
          })
        keep('plugin:crashed')
        keep('plugin:restarted')
        keep('plugin:quarantined')
        keep('plugin:report')
      },
    })
    started.push(host)
    return host
  }
  return { ...files, log, seen, stateDir, start, host: await start() }
}

/** The processes of isolated plugins that `parent` started. */
export function pluginProcesses(parent = process.pid): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        const [state, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        const isPlugin = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('isolated/child.ts')
        return state !== 'Z' && Number(ppid) === parent && isPlugin
      } catch {
        return false
      }
    })
}
