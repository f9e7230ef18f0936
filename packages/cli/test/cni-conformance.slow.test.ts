import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { exitCodeOf, runCniConformance } from '@podwire/testing/cni'
import { afterAll, describe, expect, it } from 'vitest'
import { bin } from './podwire.ts'

/** Rules that there is nothing of here: another plugin's, or what kubenet does once for all pods and not for each. */
const notHere = /^cni-(result-(passed-on|ipam)|delegate-.*|check-(shaping|firewall|reservation)-removed)$/

describe.runIf(isIsolated())('the executable that runtimes call, with a daemon of kubenet behind it', () => {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-conformance-'))
  afterAll(() => rmSync(dir, { recursive: true }))

  it('passes every rule of the CNI spec', { timeout: 1_200_000 }, async () => {
    const config = join(dir, 'podwire.config.json')
    const stateDir = '/run/podwire'
    writeFileSync(
      config,
      JSON.stringify({ networkPlugin: 'kubenet', podCIDR: '10.88.0.0/16,fd88::/64', stateDir }),
    )
    mkdirSync(join(dir, 'bin'), { recursive: true })
    const node = process.execPath
    const podwire = `'${node}' '${bin}'`
    // Each rule has a machine of its own, and a daemon on it.
    const prepare = [
      `${podwire} daemon --config '${config}' >/run/daemon.log 2>&1 & i=0; until [ -S ${stateDir}/podwire.sock ]; do i=$((i + 1)); [ $i -lt 600 ] || { cat /run/daemon.log >&2; exit 1; }; sleep 0.05; done`,
      `[ -x '${dir}/bin/podwire' ] || ${podwire} cni install --config '${config}' --bin-dir '${dir}/bin' --conf-dir '${dir}/net.d' >&2`,
    ]
    // The kit looks for the executable before it has a machine.
    const network = join(dir, 'config.json')
    writeFileSync(network, '{}')
    await installOnce(prepare)
    expect(existsSync(join(dir, 'bin/podwire'))).toBe(true)
    const report = await runCniConformance({
      target: join(dir, 'bin/podwire'),
      role: 'interface',
      config: network,
      prepare: prepare.slice(0, 1),
      versions: ['0.3.1', '1.0.0', '1.1.0'],
    })
    const of = (outcome: string) =>
      report.results
        .filter((result) => result.outcome === outcome)
        .map(({ rule, version, why, calls }) => `${rule} ${version}: ${why} ${JSON.stringify(calls ?? '')}`)
    expect(of('failed')).toEqual([])
    expect(of('skipped').filter((text) => !notHere.test(text.split(' ')[0] ?? ''))).toEqual([])
    expect(exitCodeOf(report)).toBe(0)
    expect(report.passed).toBeGreaterThan(60)
  })

  /** Puts the executable into its place, with a daemon that is gone afterwards. */
  async function installOnce(prepare: readonly string[]): Promise<void> {
    const { execFileSync } = await import('node:child_process')
    const script = ['mount -t tmpfs tmpfs /run', 'ip link set lo up', ...prepare].join('\n')
    execFileSync(
      'unshare',
      ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-ec', script],
      {
        stdio: ['ignore', 'inherit', 'inherit'],
      },
    )
  }
})
