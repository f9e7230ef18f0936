import { describeValue, type Host, type Logger } from '@podwire/api'
import { hostCalls, hostTopics } from './messages.ts'

/** Answers what an isolated plugin asks of its host. Rejects what no host has, and what its methods don't take. */
export async function answerPlugin(
  host: Host | undefined,
  method: string,
  args: readonly unknown[],
): Promise<unknown> {
  if (!host) throw new Error('the plugin has no host before its init')
  const { getNetNS, getPodPortMappings, getPodByName } = hostCalls()
  if (method === 'getNetNS') return host.getNetNS(...getNetNS.parse(args))
  if (method === 'getPodPortMappings') return host.getPodPortMappings(...getPodPortMappings.parse(args))
  if (method === 'getPodByName') return host.getPodByName(...getPodByName.parse(args))
  throw new Error(`a host has no ${describeValue(method)}`)
}

/** What hears an isolated plugin; returns whether it could be understood. */
export function createTopicHandlers({
  host,
  log,
  onCapabilities,
}: {
  host(): Host | undefined
  readonly log: Logger
  onCapabilities(plugin: string, capabilities: unknown): void
}): (topic: string, details: unknown) => boolean {
  const { log: logged, report, capabilities } = hostTopics()
  return (topic, details) => {
    if (topic === 'log') {
      const { success, data } = logged.safeParse(details)
      if (success) log[data.level](data.message, data.details)
      return success
    }
    if (topic === 'report') {
      const { success, data } = report.safeParse(details)
      if (success) host()?.report(data.event, data.details)
      return success
    }
    if (topic !== 'capabilities') return false
    const { success, data } = capabilities.safeParse(details)
    if (success) onCapabilities(data.plugin, data.capabilities)
    return success
  }
}
