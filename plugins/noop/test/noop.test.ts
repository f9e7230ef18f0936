import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fakeHost, fakePod, isIsolated, recordingLogger } from '@podwire/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import noop from '../src/index.ts'
import { noopNetworkPlugin } from '../src/noop-network-plugin.ts'

const options = { hairpinMode: 'none', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 } as const
const signal = new AbortController().signal

test('offers kubernetes.io/no-op, which can do nothing and does nothing', async () => {
  const log = recordingLogger()
  const [plugin] = await noop.probe({ options: undefined, configDir: undefined, stateDir: '/none', log })
  if (!plugin) throw new Error('no plugin')
  expect(plugin.name).toBe('kubernetes.io/no-op')
  expect(plugin.capabilities()).toBe(0)
  await plugin.event('pod-cidr-change', { 'pod-cidr': '10.88.0.0/16' })
  expect(await plugin.setUpPod(fakePod(), signal)).toBeUndefined()
  expect(await plugin.getPodNetworkStatus(fakePod(), signal)).toBeUndefined()
  expect(await plugin.tearDownPod(fakePod(), signal)).toBeUndefined()
  expect(await plugin.status()).toBeUndefined()
})

describe('init', () => {
  let directory: string
  let path: string | undefined
  const modprobeCalls = () => readFile(join(directory, 'modprobe-calls'), 'utf8').catch(() => '')
  const sysctl = (name: string) => join(directory, `bridge-nf-call-${name}`)

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'podwire-noop-'))
    path = process.env.PATH
    process.env.PATH = `${directory}:${path}`
    const script = '#!/bin/sh\necho "$@" >> "$(dirname "$0")/modprobe-calls"\nexit 1\n'
    await writeFile(join(directory, 'modprobe'), script)
    await chmod(join(directory, 'modprobe'), 0o755)
  })
  afterEach(async () => {
    process.env.PATH = path
    await rm(directory, { recursive: true })
  })

  test('loads br-netfilter, whatever modprobe says, and sets both sysctls', async () => {
    const log = recordingLogger()
    await writeFile(sysctl('iptables'), '0\n')
    await noopNetworkPlugin(log, directory).init(fakeHost(), options)
    expect(await modprobeCalls()).toBe('br-netfilter\n')
    expect(await readFile(sysctl('iptables'), 'utf8')).toBe('1\n')
    expect(await readFile(sysctl('ip6tables'), 'utf8')).toBe('1\n')
    expect(log.entries).toEqual([])
  })

  test('starts no process where everything is set already', async () => {
    await writeFile(sysctl('iptables'), '1\n')
    await writeFile(sysctl('ip6tables'), '1\n')
    await noopNetworkPlugin(recordingLogger(), directory).init(fakeHost(), options)
    expect(await modprobeCalls()).toBe('')
  })

  test('warns for each sysctl that it cannot set, and succeeds', async () => {
    const log = recordingLogger()
    await noopNetworkPlugin(log, join(directory, 'missing')).init(fakeHost(), options)
    expect(log.entries).toMatchObject([
      { level: 'warn', message: expect.stringMatching(/net\.bridge\.bridge-nf-call-iptables.*ENOENT/) },
      { level: 'warn', message: expect.stringMatching(/net\.bridge\.bridge-nf-call-ip6tables.*ENOENT/) },
    ])
  })

  test('succeeds without a modprobe', async () => {
    process.env.PATH = '/nowhere'
    await noopNetworkPlugin(recordingLogger(), directory).init(fakeHost(), options)
    expect(await readFile(sysctl('iptables'), 'utf8')).toBe('1\n')
  })

  test.runIf(isIsolated())('sets the sysctls of the kernel, or says which it cannot', async () => {
    const real = '/proc/sys/net/bridge/bridge-nf-call-iptables'
    const before = await readFile(real, 'utf8').catch(() => undefined)
    const log = recordingLogger()
    await writeFile(real, '0\n').catch(() => {})
    await noopNetworkPlugin(log).init(fakeHost(), options)
    const after = await readFile(real, 'utf8').catch(() => undefined)
    if (before !== undefined) await writeFile(real, before).catch(() => {})
    expect(after === '1\n' || log.messages('warn').length > 0).toBe(true)
  })
})
