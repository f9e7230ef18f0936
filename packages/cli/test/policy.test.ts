import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { isIsolated } from '@podwire/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { parsePolicyFlag, policyOfFlags } from '../src/policy-flags.ts'
import { project } from './podwire.ts'

test.each<[string, object]>([
  ['registry.npmjs.org', { host: 'registry.npmjs.org' }],
  ['*.npmjs.org:443', { host: '*.npmjs.org', ports: [443] }],
  ['10.1.2.3:5432/tcp', { cidr: '10.1.2.3/32', ports: [5432], protocol: 'tcp' }],
  ['10.0.0.0/8', { cidr: '10.0.0.0/8' }],
  ['10.0.0.0/8:8000-8100/udp', { cidr: '10.0.0.0/8', ports: ['8000-8100'], protocol: 'udp' }],
  ['2001:db8::1', { cidr: '2001:db8::1/128' }],
  ['fd00::/8', { cidr: 'fd00::/8' }],
  ['[2001:db8::1]:53/udp', { cidr: '2001:db8::1/128', ports: [53], protocol: 'udp' }],
  ['*:443', { ports: [443] }],
  ['*/icmp', { protocol: 'icmp' }],
  ['gateway:8080', { gateway: true, ports: [8080] }],
  ['metadata', { set: 'metadata' }],
  ['dns', { set: 'dns' }],
  ['pod:default/web:80', { pod: 'default/web', ports: [80] }],
  ['pod:default/*', { pod: 'default/*' }],
])('--allow %s is understood', (text, rule) => {
  expect(parsePolicyFlag('--allow')(text)).toEqual(rule)
})

test.each(['', ':443', '[::1', 'a:b:c', 'host:port'])('--allow %j is not, and says what would be', (text) => {
  expect(() => parsePolicyFlag('--allow')(text)).toThrow('expected HOST, CIDR or ADDRESS')
})

test('flags add up: what any allows, less what any denies', async () => {
  const pod = { namespace: 'default', annotations: {} }
  expect(await policyOfFlags({}, pod)).toBeUndefined()
  expect(await policyOfFlags({ deny: [{ set: 'metadata' }] }, pod)).toEqual({
    egress: { default: 'allow', deny: [{ set: 'metadata' }] },
  })
  expect(
    await policyOfFlags(
      { allow: [{ host: 'a.org' }, { gateway: true }], deny: [{ ports: [22] }], isolated: true },
      pod,
    ),
  ).toEqual({
    egress: {
      default: 'deny',
      allow: [{ host: 'a.org' }, { gateway: true }],
      deny: [{ ports: [22] }],
    },
    ingress: { default: 'deny', allow: [{ published: true }] },
  })
})

test('--isolated and --no-internet contradict each other', async () => {
  const pod = { namespace: 'default', annotations: {} }
  await expect(policyOfFlags({ internet: false, isolated: true }, pod)).rejects.toMatchObject({
    code: 'FLAGS_CONTRADICT',
    exitCode: 2,
  })
})

test.each([
  ...['metdata', 'METADATA', 'metadata1'].map((word) => [word, 'did you mean "metadata"?']),
  ...['gatway:80', 'Gateway', 'gateways'].map((word) => [word, 'did you mean "gateway"?']),
  ['dnss', 'did you mean "dns"?'],
  ...['publishd', 'published'].map((word) => [word, 'did you mean who comes by a published port']),
  ...['any', 'all:80', 'Everything', 'internet/tcp'].map((word) => [word, 'did you mean "*"?']),
  ['pods', 'did you mean "pod:NAMESPACE/*"?'],
])('--allow %s and --deny of it are no hosts, and %s', async (text = '', message) => {
  const pod = { namespace: 'default', annotations: {} }
  for (const side of ['allow', 'deny'] as const) {
    const flag = `--${side}`
    const given = policyOfFlags({ [side]: [parsePolicyFlag(flag)(text)] }, pod)
    await expect(given).rejects.toMatchObject({
      code: 'UNLIKELY_HOST',
      exitCode: 2,
      message: expect.stringMatching(new RegExp(`^${flag}: .*`)),
    })
    await expect(given).rejects.toThrow(message)
  }
})

test.each(['db', 'registry', 'localhost', 'web', 'metdata.', 'any.', 'all.example.org'])(
  '--allow %s is a host',
  async (host) => {
    const pod = { namespace: 'default', annotations: {} }
    const rule = parsePolicyFlag('--allow')(host)
    expect(rule).toEqual({ host })
    expect(await policyOfFlags({ allow: [rule] }, pod)).toMatchObject({ egress: { allow: [{ host }] } })
  },
)

describe.skipIf(!isIsolated())('podwire run with a policy', () => {
  let server: ChildProcess
  const port = 8123
  const config = { networkPlugin: 'kubenet', stateDir: './state', podCIDR: '10.88.0.0/16' }
  const made = () => project({ 'podwire.config.json': config })
  const connect = (to: number) => `exec 3<>/dev/tcp/10.88.0.1/${to} && cat <&3`

  // A process of its own, as the command line is waited for synchronously.
  beforeAll(async () => {
    const script = `require('net').createServer((s) => s.end('hello')).listen(${port}, '0.0.0.0', () => console.log('there'))`
    server = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(server.stdout!, 'data')
  })
  afterAll(() => void server.kill())

  test('reaches what is allowed and nothing else, and what it tried is told', () => {
    const { podwire } = made()
    const allowed = podwire('run', '--allow', `10.88.0.1:${port}`, '--', 'bash', '-c', connect(port))
    expect(allowed).toMatchObject({ status: 0, stdout: 'hello' })
    const flags = ['--allow', '10.88.0.1:9', '--report', '--suggest']
    const denied = podwire('run', ...flags, '--', 'bash', '-c', connect(port))
    expect(denied.status).not.toBe(0)
    expect(denied.stderr).toMatch(new RegExp(`denied (once|\\d+ times) by default: tcp to 10.88.0.1:${port}`))
    expect(denied.stderr).toContain(`--allow 10.88.0.1:${port}/tcp  # is this host itself\n`)
    const port9 = ['run', '--deny', '10.88.0.1:9', '--suggest', '--', 'bash', '-c', connect(9)]
    expect(podwire(...port9).stderr).toContain('no flag to suggest: what was denied is denied by a rule')
    expect(podwire('run', '--suggest', '--', 'true').stderr).toContain(
      'no flag to suggest: nothing was denied, as there was no policy; what it needs is seen with: podwire run --isolated --suggest',
    )
    const met = podwire('run', '--deny', '10.88.0.1:9', '--suggest', '--', 'true')
    expect(met.stderr).toContain('no flag to suggest: nothing was denied\n')
    const json = podwire('run', '--isolated', '--json', '--', 'bash', '-c', connect(port))
    expect(JSON.parse(json.stdout)).toMatchObject({
      policy: { egress: { default: 'deny' } },
      denied: [{ protocol: 'tcp', address: '10.88.0.1', port, rule: 'default' }],
    })
  })

  test('says with --report what was reached too, with what went by it', () => {
    const { podwire } = made()
    const flags = ['--allow', `10.88.0.1:${port}`, '--report']
    const both = `(${connect(port)}); (${connect(port)}); (${connect(9)})`
    const { stderr } = podwire('run', ...flags, '--', 'bash', '-c', both)
    expect(stderr).toMatch(
      new RegExp(`reached 2 times: tcp to 10.88.0.1:${port}, \\d+ B sent, \\d+ B received`),
    )
    expect(stderr).toMatch(/denied .*: tcp to 10.88.0.1:9/)
    expect(stderr.match(/reached/g)).toHaveLength(1)
    const json = podwire('run', '--report', '--json', '--', 'bash', '-c', connect(port))
    const { reached, ...rest } = JSON.parse(json.stdout)
    expect(reached).toMatchObject([{ protocol: 'tcp', address: '10.88.0.1', port, connections: 1 }])
    // The bytes of the headers and of what was said.
    expect(reached[0].received.bytes).toBeGreaterThan(reached[0].received.packets * 40 + 'hello'.length - 1)
    expect(rest).not.toHaveProperty('denied')
    expect(podwire('run', '--report', '--', 'true').stderr).toContain('nothing was reached')
  })

  test('reaches a pod by its name, and what it tried there and at the metadata address is told as it should be allowed', async () => {
    const { podwire, start } = made()
    expect(podwire('up', 'default/web').status).toBe(0)
    onTestFinished(() => void podwire('down', 'default/web'))
    // A host that knows no way there sends nothing, whatever a policy says.
    const iproute = (...words: string[]) => execFileSync('ip', words)
    iproute('link', 'add', 'up0', 'type', 'veth')
    onTestFinished(() => void iproute('link', 'del', 'up0'))
    iproute('link', 'set', 'up0', 'up')
    iproute('route', 'add', '169.254.169.254', 'dev', 'up0')
    const serving = `require('net').createServer((s) => s.end('web')).listen(8000, '0.0.0.0', () => console.log('there'))`
    const web = start('exec', 'default/web', '--', process.execPath, '-e', serving)
    onTestFinished(() => void web.kill())
    await once(web.stdout!, 'data')
    const to = (host: string, port: number) => `(exec 3<>/dev/tcp/${host}/${port} && cat <&3)`
    const { ip: address } = JSON.parse(podwire('status', 'default/web', '--json').stdout).pods[0]
    const tries = [
      ...[to('web.default.pod', 8000), to('web.default.pod', 8001), to(address, 8002)],
      to('169.254.169.254', 80),
    ]
    const command = ['--', 'bash', '-c', `${tries.join('; ')}; true`]
    const flags = ['--allow', 'web.default.pod:8000', '--report', '--suggest']
    const { stdout, stderr } = podwire('run', ...flags, ...command)
    expect(stdout).toBe('web')
    expect(stderr).toMatch(/reached once: tcp to web\.default\.pod \(10\.88\.0\.\d+:8000\)/)
    expect(stderr).toMatch(/denied .*by default: tcp to web\.default\.pod \(10\.88\.0\.\d+:8001\)/)
    expect(stderr).toContain('--allow pod:default/web:8001/tcp\n')
    expect(stderr).toContain('not suggested: 169.254.169.254:80/tcp, which is where clouds')
    expect(stderr).not.toContain('--allow 169.254')
    const json = JSON.parse(podwire('run', '--json', ...flags, ...command).stdout)
    expect(json).toMatchObject({
      policy: { egress: { default: 'deny', allow: [{ pod: 'default/web', ports: [8000] }] } },
      suggested: [{ allow: 'pod:default/web:8001/tcp' }, { allow: 'pod:default/web:8002/tcp' }],
      notSuggested: [{ allow: '169.254.169.254:80/tcp', caution: expect.stringContaining('secrets') }],
    })
  })

  test('up refuses names, which nobody would resolve, and keeps what else it is given', () => {
    const { podwire } = made()
    const refused = podwire('up', 'default/web', '--allow', 'registry.npmjs.org')
    expect(refused).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/"registry.npmjs.org" by name.*podwire run/s),
    })
    // Pods are known without anybody who resolves their names.
    const pods = podwire('up', 'default/web', '--allow', 'db.default.pod:5432', '--deny', '*.secret.pod')
    expect(pods).toMatchObject({ status: 0, stderr: '' })
    expect(JSON.parse(podwire('status', 'default/web', '--json').stdout).pods[0].policy).toEqual({
      egress: {
        default: 'deny',
        allow: [{ pod: 'default/db', ports: [5432] }],
        deny: [{ pod: 'secret/*' }],
      },
    })
    expect(podwire('up', 'default/web', '--allow', 'db.pod')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('"NAME.NAMESPACE.pod"'),
    })
    expect(podwire('up', 'default/web', '--no-internet').status).toBe(0)
    const status = JSON.parse(podwire('status', 'default/web', '--json').stdout)
    expect(status.pods[0].policy).toEqual({
      egress: { default: 'deny', allow: [{ pod: '*/*' }, { gateway: true }] },
    })
    expect(podwire('down', 'default/web').status).toBe(0)
  })

  test('up again without a flag about policies keeps the policy of a pod that is up, and says so', async () => {
    const { podwire, start } = made()
    onTestFinished(() => void podwire('down', 'default/web'))
    const policy = () => JSON.parse(podwire('status', 'default/web', '--json').stdout).pods[0].policy
    const one = { egress: { default: 'deny', allow: [{ cidr: '10.5.6.7/32', ports: [5432] }] } }
    expect(podwire('up', 'default/web', '--allow', '10.5.6.7:5432')).toMatchObject({ status: 0, stderr: '' })
    const kept = {
      status: 0,
      stderr: 'podwire: default/web: keeps the policy that it has; to drop it: --no-policy\n',
    }
    expect(podwire('ps').stdout).toMatch(/POLICY.*\n.* +- +yes +\d+s/)
    expect(podwire('status').stdout).toMatch(/ADDRESS +POLICY .*\n.* +yes +[\d.]+ ms/)
    expect(podwire('up', 'default/web', '-p', '18080:80')).toMatchObject(kept)
    expect(policy()).toEqual(one)
    expect(podwire('up', 'default/web')).toMatchObject(kept)
    expect(policy()).toEqual(one)
    // What is to be done where exec and check say that the network namespace is gone.
    const [{ netns }] = JSON.parse(podwire('ps', '--json').stdout)
    execFileSync('ip', ['netns', 'del', netns.replace('/run/netns/', '')])
    expect(podwire('up', 'default/web')).toMatchObject({
      status: 0,
      stderr: expect.stringContaining(kept.stderr),
    })
    expect(policy()).toEqual(one)
    const json = podwire('up', 'default/web', '--json')
    expect(json).toMatchObject({ status: 0, stderr: '' })
    expect(JSON.parse(json.stdout).policy).toEqual(one)
    expect(podwire('up', 'default/web', '--allow', 'gateway')).toMatchObject({ status: 0, stderr: '' })
    expect(policy()).toEqual({ egress: { default: 'deny', allow: [{ gateway: true }] } })
    expect(podwire('up', 'default/web', '--no-policy')).toMatchObject({ status: 0, stderr: '' })
    expect(policy()).toBeUndefined()
    expect(podwire('status').stdout).toMatch(/ +- +[\d.]+ ms/)
    expect(podwire('up', 'default/web')).toMatchObject({ status: 0, stderr: '' })
    expect(podwire('down', 'default/web').status).toBe(0)
    // Who stays may answer names; who ends at once can't, and doesn't open the pod instead.
    const named = ['--name', 'default/web', '--allow', 'a.org']
    const running = start('run', ...named, '--', 'sh', '-c', 'echo ready; exec sleep 1000')
    onTestFinished(() => void running.kill())
    await once(running.stdout, 'data')
    expect(podwire('up', 'default/web')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/keeps the policy.*"a.org" by name/s),
    })
    expect(policy()).toEqual({ egress: { default: 'deny', allow: [{ host: 'a.org' }] } })
    // A pod that ended with its process leaves its policy to nobody.
    const end = once(running, 'exit')
    running.kill('SIGKILL')
    await end
    const next = podwire('up', 'default/web')
    expect(next.stderr).not.toContain('keeps the policy')
    expect(next.status).toBe(0)
    expect(policy()).toBeUndefined()
  })

  test('up --no-policy leaves what the configuration says, and contradicts each flag that gives one', () => {
    const base = { egress: { default: 'deny', allow: [{ gateway: true }] } }
    const { podwire } = project({ 'podwire.config.json': { ...config, policy: base }, 'policy.json': base })
    onTestFinished(() => void podwire('down', 'default/web'))
    const up = (...flags: string[]) => JSON.parse(podwire('up', 'default/web', '--json', ...flags).stdout)
    expect(up('--allow', '10.5.6.7')).toMatchObject({
      policy: { egress: { allow: [{ cidr: '10.5.6.7/32' }] } },
    })
    expect(up('--no-policy').policy).toEqual(base)
    const given = [
      ['--allow', '*'],
      ['--deny', 'metadata'],
      ['--no-internet'],
      ['--isolated'],
      ['--policy', 'policy.json'],
    ]
    for (const flags of given) {
      const refused = { status: 2, stderr: expect.stringContaining(`--no-policy and ${flags[0]} contradict`) }
      expect(podwire('up', 'default/web', '--no-policy', ...flags)).toMatchObject(refused)
      expect(podwire('up', 'default/web', ...flags, '--no-policy')).toMatchObject(refused)
    }
  })
})
