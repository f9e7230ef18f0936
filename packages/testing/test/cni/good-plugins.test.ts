import { isIsolated } from '@podwire/testing'
import { exitCodeOf, runCniConformance } from '@podwire/testing/cni'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PluginFiles, pluginFiles, type TestPlugin } from './plugin-files.ts'

/** Rules that can't be tried on plugins of a role: all others must be passed. */
const notFor: Record<TestPlugin, RegExp> = {
  interface: /^cni-result-(passed-on|ipam)$/,
  chained:
    /^cni-(add-(interface|twice|twice-harmless|name-taken-undone|second-interface)|result-(interface|ipam)|del-interface-gone|add-sandbox-missing|check-sandbox-gone|check-(link|address|route|shaping|reservation)-removed|concurrent-addresses|delegate-.*)$/,
  ipam: /^cni-(env-ifname-unusable|add-(interface|sandbox-missing|twice|twice-harmless|name-taken-undone|second-interface)|result-(interface|addresses|routes|passed-on)|del-interface-gone|check-(no-prev-result|link-removed|address-removed|route-removed|sandbox-gone|firewall-removed|shaping-removed)|delegate-.*)$/,
}

describe.runIf(isIsolated())('a plugin that does all that the spec demands', () => {
  let files: PluginFiles
  beforeAll(async () => {
    files = await pluginFiles()
  })
  afterAll(() => files.remove())

  it.each(['interface', 'chained', 'ipam'] as const)(
    'passes every rule that is for it: %s',
    { timeout: 600_000 },
    async (role) => {
      const target = await files.plugin(role)
      await files.plugin('ipam')
      const report = await runCniConformance({
        target,
        role,
        config: await files.file(`${role}.json`, role === 'chained' ? {} : { ipam: { type: 'test-ipam' } }),
        // The oldest and the newest: a result changes its shape between them, and little else does.
        versions: role === 'interface' ? ['0.3.1', '1.1.0'] : ['1.1.0'],
      })
      const of = (outcome: string) => report.results.filter((result) => result.outcome === outcome)
      expect(of('failed').map(({ rule, why }) => `${rule}: ${why}`)).toEqual([])
      // Of old versions alone, which only the first is tried in.
      const skipped = of('skipped').filter(
        ({ rule }) => rule !== 'cni-config-args-ignored' || role === 'interface',
      )
      expect(
        skipped.filter(({ rule }) => !notFor[role].test(rule)).map(({ rule, why }) => `${rule}: ${why}`),
      ).toEqual([])
      expect(exitCodeOf(report)).toBe(0)
    },
  )
})
