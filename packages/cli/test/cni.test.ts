import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { bin } from './podwire.ts'

describe.runIf(isIsolated())('podwire cni', { timeout: 120_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-cni-'))
  afterAll(() => rmSync(dir, { recursive: true }))

  const cni = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [bin, 'cni', ...args], {
      encoding: 'utf8',
    })
    return { status, stdout, stderr }
  }
  const plugin = (name: string, answer: string) => {
    const path = join(dir, name)
    writeFileSync(path, `#!/bin/sh\necho '${answer}'\n`, { mode: 0o755 })
    return path
  }
  const config = join(dir, 'net.conf')
  writeFileSync(config, '{}')
  const rule = ['--config', config, '--rule', 'cni-version-answers']

  it('exits with 0 where nothing failed, and prints a table', () => {
    const good = plugin('good', '{"cniVersion": "1.0.0", "supportedVersions": ["1.0.0"]}')
    const { status, stdout } = cni('test', good, ...rule)
    expect(stdout).toMatch(/passed {3}must {4}cni-version-answers\n[\s\S]*1 passed, 0 failed, 0 skipped/)
    expect(status).toBe(0)
  })

  it('exits with 1 where a rule failed, with the report as JSON where that is wanted', () => {
    const { status, stdout } = cni('test', plugin('bad', 'hello'), ...rule, '--json')
    expect(JSON.parse(stdout)).toMatchObject({
      failed: 1,
      results: [{ rule: 'cni-version-answers', outcome: 'failed', why: expect.stringContaining('hello') }],
    })
    expect(status).toBe(1)
  })

  it.each([
    ['no such plugin', ['test', '/nonexistent'], '/nonexistent'],
    ['no such rule', ['test', bin, '--rule', 'cni-sing'], 'cni-sing'],
    ['no such version', ['test', bin, '--cni-version', '7.0.0'], '7.0.0'],
  ])('exits with 2 where nothing could be tried: %s', (_, args, message) => {
    const { status, stdout, stderr } = cni(...args)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toContain(message)
  })

  const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, bin]
  const canBeNobody =
    existsSync('/usr/lib/cni/bridge') &&
    process.getuid?.() === 0 &&
    spawnSync(asNobody[0]!, [...asNobody.slice(1), '--version']).status === 0 &&
    spawnSync('setpriv', [...asNobody.slice(1, 4), 'unshare', '--user', '--map-root-user', '--net', 'true'])
      .status === 0

  it.runIf(canBeNobody)('needs no root where user namespaces are allowed', () => {
    const bridge = ['cni', 'test', '/usr/lib/cni/bridge', '--rule', 'cni-del-leaves-nothing', '--json']
    const { status, stdout } = spawnSync(asNobody[0]!, [...asNobody.slice(1), ...bridge], {
      encoding: 'utf8',
    })
    expect(JSON.parse(stdout)).toMatchObject({ failed: 0, skipped: 0 })
    expect(status).toBe(0)
  })

  it('lists the rules with their reasons', () => {
    expect(cni('rules').stdout).toMatch(/cni-del-twice \(must\)\n {2}A second DEL succeeds\.\n {2}\S/)
  })
})
