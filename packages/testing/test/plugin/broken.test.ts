import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isIsolated } from '../../src/netns.ts'
import { pluginRules } from '../../src/plugin/rules/index.ts'
import { type Compiled, compiled } from './compiled.ts'

const here = new URL('.', import.meta.url).pathname

/** What is seen of the broken plugin of each rule. */
const seen: Record<string, RegExp> = {
  manifest: /unknown key plugin/,
  names: /the package’s name says "other", the manifest "good.test\/ptp"/,
  import: /not on this machine/,
  'import-leaves-nothing': /left behind: Timeout/,
  module: /its apiVersion is 7/,
  probe: /"good.test\/ptp" lacks status/,
  'probe-anew': /the second probe returned the first one’s/,
  'options-accepted': /greeting: expected a greeting/,
  'options-shape': /"text" is accepted/,
  'options-misspelt': /unknown key conformanceMisspelt is accepted/,
  init: /still starting/,
  'init-side-by-side': /left behind: .*address 10\.213\.0\.2/,
  capabilities: /bit 20, which no version knows/,
  'capabilities-methods': /there is a checkPod, and the bit check is not set/,
  'capabilities-manifest': /the plugin lacks dualStack/,
  'set-up': /rejected: no more pods today/,
  'set-up-twice': /is set up already/,
  'tear-down': /left behind: .*host: link gd/,
  'tear-down-twice': /is gone already/,
  'tear-down-first': /there is no pod/,
  'tear-down-without-netns': /rejected: ENOENT/,
  'set-up-after-tear-down': /was torn down/,
  'tear-down-other': /missing: .*link/,
  'close-keeps-pods': /missing: .*link/,
  'status-before': /it returned \{"ip":"10.213.0.2"\}/,
  'status-shape': /"10.213.0.2\/24", which is not an IP address/,
  'status-true': /says 192.0.2.1, and the pod has/,
  'status-after': /it returned \{"ip"/,
  'change-unknown': /mtu 1400/,
  'change-bandwidth': /the limit is nowhere in the kernel/,
  'change-ports': /the port is nowhere|left behind: .*nft/,
  'concurrent-set-ups': /two pods got 10.213.0.2/,
  'concurrent-tear-downs': /busy with tearing down/,
  'abort-before': /left behind: .*link/,
  'abort-set-up': /had not ended 1000 ms after its signal aborted|left behind/,
  'abort-tear-down': /left behind: .*link/,
  'error-names-pod': /the message names no pod: something went wrong/,
  'failed-set-up': /left behind: host: route 198.51.100.0\/24/,
  'event-unknown': /unknown event podwire-test-unknown/,
  'event-pod-cidr-again': /missing: .*link/,
  'check-same': /rejected: not as it was/,
  'check-differs': /it resolved/,
  'garbage-freed': /left behind: .*file/,
  'garbage-kept': /missing: .*link/,
  'restart-set-up': /the link of pod .* exists/,
  'restart-tear-down': /left behind: .*link/,
  'leak-descriptors': /descriptor of \/etc\/hostname/,
  'leak-timers': /left behind: Timeout/,
  'leak-processes': /process sleep 600/,
  'quiet-stdout': /setUpPod.*setting up pod/,
  'no-exit': /setUpPod.*process.exit\(0\)/,
  'no-uncaught': /setUpPod.*nobody waits for this/,
  'only-errors': /setUpPod.*"no more pods today", which is not an Error/,
}

// Each in namespaces of its own; most wait for what never comes.
const options = { timeout: 300_000, concurrent: true }
describe.runIf(isIsolated())('a plugin that breaks one rule', options, () => {
  let dir: string
  let files: Compiled
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'podwire-broken-'))
    files = await compiled()
  })
  afterAll(async () => {
    await files?.remove()
    await rm(dir, { recursive: true, force: true })
  })

  test.each(pluginRules.map((rule) => [rule.id, 'watch' in rule] as const))('%s', async (id, isWatched) => {
    const own = join(here, 'broken', `${id}.json`)
    const packageDir = join(dir, id)
    await mkdir(packageDir)
    await cp(existsSync(own) ? own : join(here, 'package.json'), join(packageDir, 'package.json'))
    const report = await files.kit.runPluginConformance({
      dir: packageDir,
      module: files.plugin(existsSync(own) ? 'good' : `broken/${id}`),
      rules: isWatched ? [id, 'set-up'] : [id],
      graceMs: 1_000,
    })
    const result = report.results.find(({ rule }) => rule === id)
    expect(result).toMatchObject({ outcome: 'failed', seen: expect.stringMatching(seen[id] ?? /^$/) })
    expect(result?.did).not.toEqual([])
  })
})
