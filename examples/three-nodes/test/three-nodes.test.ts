import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'

const example = new URL('..', import.meta.url).pathname
const hasEtcd = ['etcd', 'etcdctl'].every(
  (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0,
)

const processesOf = (text: string) =>
  readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      } catch {
        return ''
      }
    })
    .filter((command) => command.includes(`${text}node_modules`))

describe.skipIf(!isIsolated() || !hasEtcd)('three nodes', () => {
  test('share one network, and the one that is cut off is fenced and comes back, as the README says', () => {
    const output = execFileSync(process.execPath, [`${example}demo.mjs`], { encoding: 'utf8' })
    expect(output).toMatch(/10\.244\.3\.0\/24,fd00:244:0:3::\/64 +leased +node-3/)
    expect(output).toContain('10.244.1.0/24 via 10.244.1.0 dev podwire.1')
    const seen = [...output.matchAll(/Hello from the pod, (?:::ffff:)?(\S+)/g)].map(([, address]) => address)
    // Pods see each other's own addresses; by a published port they come from their node.
    expect(seen).toEqual([
      ...['10.244.2.2', 'fd00:244:0:2::2', '192.0.2.2'],
      // By name, in one family or the other.
      expect.stringMatching(/^(10\.244\.2\.3|fd00:244:0:2::3)$/),
      ...['10.244.2.2', '10.244.3.2'],
    ])
    expect(output).toContain('refused')
    // No process stays in the network of this test but its own.
    expect(processesOf(example)).toEqual([])
  }, 300_000)
})
