import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { bin, project } from './podwire.ts'

const conflist = {
  cniVersion: '1.0.0',
  name: 'mynet',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      ipam: { type: 'host-local', dataDir: '/run/cnitool-leases', subnet: '10.99.0.0/24' },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
}

function cnitool(env: Record<string, string>, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, 'cnitool', ...args], {
    env: { ...process.env, CNI_PATH: '/usr/lib/cni', ...env },
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

const cached = () => readdirSync('/var/lib/cni/results').filter((name) => !name.startsWith('.'))
const canRun = isIsolated() && existsSync('/usr/lib/cni/bridge')

describe.skipIf(!canRun)('cnitool with a chain of real plugins', () => {
  test('adds, checks, tells versions and deletes as the Go tool does', () => {
    const { dir } = project({ 'net.d/10-mynet.conflist': conflist })
    const env = { NETCONFPATH: `${dir}/net.d` }
    execFileSync('ip', ['netns', 'add', 'cnitool'])
    const netns = '/run/netns/cnitool'
    const added = cnitool(
      { ...env, CAP_ARGS: '{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}' },
      'add',
      'mynet',
      netns,
    )
    expect(added).toMatchObject({ status: 0, stderr: '' })
    expect(JSON.parse(added.stdout)).toMatchObject({
      cniVersion: '1.0.0',
      ips: [{ address: '10.99.0.2/24' }],
    })
    expect(added.stdout.startsWith('{\n    "cniVersion": "1.0.0",\n    "interfaces": [\n        {')).toBe(
      true,
    )
    const id = createHash('sha512').update(netns).digest('hex').slice(0, 20)
    expect(cached()).toEqual([`mynet-cnitool-${id}-eth0`])
    expect(cnitool(env, 'check', 'mynet', netns)).toMatchObject({ status: 0, stdout: '' })
    expect(JSON.parse(cnitool(env, 'version', 'mynet').stdout).bridge.supportedVersions).toContain('1.0.0')
    expect(cnitool(env, '-i', 'eth7', 'add', 'mynet', netns).status).toBe(0)
    expect(cnitool(env, 'gc', 'mynet').status).toBe(0)
    expect(cached()).toEqual([])
    expect(cnitool(env, 'del', 'mynet', netns)).toMatchObject({ status: 0, stdout: '', stderr: '' })
    expect(
      execFileSync('ip', ['netns', 'exec', 'cnitool', 'ls', '/sys/class/net'], { encoding: 'utf8' }),
    ).not.toContain('eth')
    execFileSync('ip', ['netns', 'delete', 'cnitool'])
  }, 30_000)
})

test.each<[string, Record<string, string>, string[], string]>([
  ['no words', {}, [], 'podwire cnitool add|check|del NETWORK NETNS'],
  ['an unknown command', {}, ['frob', 'net', '/x'], 'podwire cnitool add'],
  ['no namespace', {}, ['add', 'net'], 'podwire cnitool add'],
  ['an unknown network', {}, ['add', 'none', '/x'], 'no net configuration with name "none"'],
  [
    'CNI_ARGS that are none',
    { CNI_ARGS: 'novalue' },
    ['add', 'mynet', '/x'],
    'invalid CNI_ARGS pair "novalue"',
  ],
  ['CAP_ARGS that are no JSON', { CAP_ARGS: '{' }, ['add', 'mynet', '/x'], 'CAP_ARGS is not JSON'],
])('cnitool with %s exits with 1 and the reason alone on stderr', (_name, env, args, text) => {
  const { dir } = project({ 'net.d/10-mynet.conflist': conflist })
  const result = cnitool({ NETCONFPATH: `${dir}/net.d`, ...env }, ...args)
  expect(result).toMatchObject({ status: 1, stdout: '' })
  expect(result.stderr.startsWith(text)).toBe(true)
})
