import { isIsolated } from '@podwire/testing'
import { type CniVersion, cniRules, runCniConformance } from '@podwire/testing/cni'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PluginFiles, pluginFiles, type TestPlugin } from './plugin-files.ts'

/** The plugin that breaks a rule, where it isn't the one that makes interfaces. */
const plugins: Readonly<Record<string, TestPlugin>> = {
  'cni-result-passed-on': 'chained',
  'cni-result-ipam': 'ipam',
  'cni-concurrent-addresses': 'ipam',
}

/** The version that it is broken in, where it isn't the newest. */
const versions: Readonly<Record<string, CniVersion>> = {
  'cni-add': '0.4.0',
  'cni-config-args-ignored': '0.4.0',
}

describe.runIf(isIsolated())('a plugin that breaks one rule', () => {
  let files: PluginFiles
  let config: string
  beforeAll(async () => {
    files = await pluginFiles()
    await files.plugin('ipam')
    config = await files.file('conf.json', { ipam: { type: 'test-ipam' } })
  })
  afterAll(() => files.remove())

  const rules = cniRules.map(({ id }) => id)
  // What is tried with several calls at once, or by killing some, is tried on a machine that does nothing else.
  const isTimed = (rule: string) => /^cni-(?:concurrent|killed)-/.test(rule)
  const test = async (rule: string) => {
    const plugin = plugins[rule] ?? 'interface'
    const target = await files.plugin(plugin, rule, `broken-${rule}`)
    const report = await runCniConformance({
      target,
      role: plugin,
      config,
      rules: [rule],
      versions: [versions[rule] ?? '1.1.0'],
    })
    const [result, ...others] = report.results
    expect(others).toEqual([])
    expect(result).toMatchObject({ rule, outcome: 'failed', why: expect.stringMatching(/./) })
    expect(result?.section.url).toContain(`spec-v${versions[rule] ?? '1.1.0'}/`)
    expect(result?.calls?.at(-1)).toMatchObject({
      program: target,
      env: { CNI_COMMAND: expect.any(String) },
    })
  }
  const name = '%s: fails it, and is told so'
  it.concurrent.each(rules.filter((rule) => !isTimed(rule)))(name, { timeout: 300_000 }, test)
  it.each(rules.filter(isTimed))(name, { timeout: 120_000 }, test)
})
