import { execFileSync, spawnSync } from 'node:child_process'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'

const example = new URL('..', import.meta.url).pathname
const hasEtcd = ['etcd', 'etcdctl'].every(
  (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0,
)

describe.skipIf(!isIsolated() || !hasEtcd)('three nodes', () => {
  test('share one network, and the one that is cut off is fenced and comes back, as the README says', () => {
    const output = execFileSync(process.execPath, [`${example}demo.mjs`], { encoding: 'utf8' })
    expect(output).toMatch(/10\.244\.3\.0\/24,fd00:244:0:3::\/64 +leased +node-3/)
    expect(output).toContain('10.244.1.0/24 via 10.244.1.0 dev podwire.1')
    const seen = [...output.matchAll(/Hello from the pod, (?:::ffff:)?(\S+)/g)].map(([, address]) => address)
    // Pods see each other's own addresses; by a published port they come from their node.
    expect(seen).toEqual(['10.244.2.2', 'fd00:244:0:2::2', '192.0.2.2', '10.244.2.2', '10.244.3.2'])
    expect(output).toContain('refused')
  }, 300_000)
})
