import { isPodwireError, type PluginModule, type StandardIssue } from '@podwire/api'
import { silentLogger } from '../../log.ts'
import type { LoadContext } from '../load-package.ts'
import type { PluginPackage } from '../manifest.ts'
import { checkIsolated, loadIsolated } from './isolated-package.ts'

/**
 * A plugin module whose every probe is a process of its own. Its options come out as they went in: what the package's schema
 * makes of them stays in there.
 */
export function isolatedModule(
  found: PluginPackage,
  { deadlineMs, trust }: Pick<LoadContext, 'deadlineMs' | 'trust'>,
): PluginModule<unknown> {
  const deadlines = { init: deadlineMs, event: deadlineMs, status: deadlineMs }
  const validate = async (value: unknown) => {
    const context = { options: value, configDir: undefined, stateDir: found.dir, log: silentLogger }
    try {
      await checkIsolated(found, { ...context, deadlineMs, trust })
      return { value }
    } catch (error) {
      return { issues: issuesOf(error) }
    }
  }
  return {
    apiVersion: 1,
    options: { '~standard': { version: 1, vendor: 'podwire', validate } },
    probe: async (context) =>
      (await loadIsolated(found, { ...context, deadlineMs, deadlines, trust })).plugins.slice(),
  }
}

function issuesOf(error: unknown): readonly StandardIssue[] {
  if (!isPodwireError(error) || error.code !== 'PLUGIN_OPTIONS_INVALID') throw error
  // By the table of errors.
  const problems = error.details['problems'] as readonly { path: string; message: string }[]
  return problems.map(({ path, message }) => ({ message, path: path === '' ? [] : path.split('.') }))
}
