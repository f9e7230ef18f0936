import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { bin, project, withScript } from './podwire.ts'

function scriptProject() {
  const made = project(withScript)
  chmodSync(join(made.dir, 'exec/example.com~script/script'), 0o755)
  return made
}

test('--version prints the version, help the commands', () => {
  const { podwire } = project()
  expect(podwire('--version')).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
  })
  const help = podwire('--help')
  expect(help.status).toBe(0)
  for (const command of [
    'init',
    'config',
    'plugins',
    'up',
    'status',
    'down',
    'exec',
    'run',
    'event',
    'doctor',
  ]) {
    expect(help.stdout).toContain(`  ${command}`)
  }
})

test.each([
  [['frobnicate'], 2, "unknown command 'frobnicate'"],
  [['statsu'], 2, 'Did you mean status?'],
  [['up'], 2, "missing required argument 'pod'"],
  [['up', 'web'], 2, 'expected NAMESPACE/NAME'],
  [['up', 'default/web', '--frob'], 2, "unknown option '--frob'"],
  [['up', 'default/web', '-p', '99999:80'], 2, 'port 99999'],
  [['up', 'default/web', '-p', '80:80', '-p', '80:81'], 2, 'mapped twice'],
  [['up', 'default/web', '--ingress', '10X'], 2, '"10X" is no bandwidth'],
  [['up', 'default/web', '--netns', '/etc/passwd'], 2, 'not a network namespace'],
  [['up', 'default/a_b'], 2, 'name "a_b"'],
  [['down', '../web'], 2, 'namespace ".."'],
  [['exec', 'default/none', '--', 'true'], 1, 'There is no pod default/none'],
  [['status', 'default/none'], 1, 'there is no pod default/none'],
  [['status', '--config', 'none.json'], 2, 'No configuration at'],
  [['event', 'repair', 'novalue'], 2, 'expected KEY=VALUE'],
  [['init', '--format', 'toml'], 2, 'Allowed choices are json, yaml, ts'],
])('podwire %j exits with %i and says why', (args, status, text) => {
  const result = project({ 'podwire.config.json': { stateDir: './state' } }).podwire(...args)
  expect(result.stderr).toContain(text)
  expect(result.status).toBe(status)
})

test('init writes a configuration that is right, and never over another', () => {
  const { podwire, dir } = project()
  expect(podwire('init', '--format', 'yaml').status).toBe(0)
  expect(podwire('config', 'check').stdout).toBe(`${join(dir, 'podwire.config.yaml')}: ok\n`)
  expect(podwire('init', '--format', 'yaml')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('exists already'),
  })
  expect(podwire('init', '--format', 'yaml', '--force').status).toBe(0)
})

test('config print fills in the defaults, config schema is a JSON Schema', () => {
  const { podwire } = project({ 'podwire.config.yaml': 'mtu: 1400' })
  expect(JSON.parse(podwire('config', 'print').stdout)).toMatchObject({
    mtu: 1400,
    hairpinMode: 'hairpin-veth',
  })
  expect(JSON.parse(podwire('config', 'schema').stdout)).toMatchObject({
    type: 'object',
    properties: { mtu: {} },
  })
})

test('an error of the configuration is JSON where JSON was asked for', () => {
  const { status, stdout } = project({ 'podwire.config.json': { networkPlugins: 'x' } }).podwire(
    'status',
    '--json',
  )
  expect(status).toBe(2)
  expect(JSON.parse(stdout)).toMatchObject({
    errors: [{ code: 'CONFIG_INVALID', message: expect.stringContaining('networkPlugin') }],
  })
})

test('plugins lists what is active, available and rejected', () => {
  const made = scriptProject()
  const { podwire, dir } = project({
    ...withScript,
    'node_modules/podwire-plugin-old/package.json': {
      name: 'podwire-plugin-old',
      podwire: { apiVersion: 0 },
    },
  })
  const rows = JSON.parse(podwire('plugins', '--json').stdout)
  expect(rows).toContainEqual(
    expect.objectContaining({
      name: 'example.com/script',
      package: '@podwire/plugin-exec',
      state: 'active',
      capabilities: ['shaping', 'portMappings'],
    }),
  )
  expect(rows).toContainEqual(expect.objectContaining({ name: 'kubernetes.io/no-op', state: 'available' }))
  expect(rows).toContainEqual(
    expect.objectContaining({
      state: 'rejected',
      path: join(dir, 'node_modules/podwire-plugin-old'),
      reason: expect.stringContaining('apiVersion is 0'),
    }),
  )
  expect(made.podwire('plugins').stdout).toMatch(/example\.com\/script +@podwire\/plugin-exec@\S+ +active/)
})

test('doctor says of each thing whether it is there, and what to do', () => {
  const { podwire } = project({ 'podwire.config.json': { networkPlugin: 'none.io/x' } })
  const { status, stdout } = podwire('doctor', '--json')
  const findings = JSON.parse(stdout)
  expect(findings).toContainEqual(expect.objectContaining({ check: 'kernel', result: 'ok' }))
  expect(findings).toContainEqual(
    expect.objectContaining({
      check: 'network plugin',
      result: 'failed',
      say: expect.stringContaining('npm install podwire-plugin-none.io__x'),
    }),
  )
  expect(status).toBe(1)
})

test('status tells why a plugin does not start', () => {
  const { podwire } = project({
    'podwire.config.json': { networkPlugin: 'example.com/nop', stateDir: './state' },
  })
  const { status, stdout, stderr } = podwire('status', '--json')
  expect([status, stdout, stderr].join()).toContain('not found')
})

describe.skipIf(!isIsolated())('the life of a pod', () => {
  test('up, status, exec, down', () => {
    const { podwire } = scriptProject()
    expect(podwire('up', 'default/web', '-p', '8080:80', '--ingress', '10M')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^default\/web {2}192\.0\.2\.7 {2}\/run\/netns\/\S+\n$/),
    })
    expect(podwire('up', 'default/web', '-p', '8080:80', '--ingress', '10M').status).toBe(0)
    expect(JSON.parse(podwire('status', '--json').stdout)).toMatchObject({
      plugin: {
        name: 'example.com/script',
        package: '@podwire/plugin-exec',
        capabilities: ['shaping', 'portMappings'],
      },
      ready: true,
      pods: [
        {
          namespace: 'default',
          name: 'web',
          phase: 'ready',
          ip: '192.0.2.7',
          ips: ['192.0.2.7'],
          annotations: { 'kubernetes.io/ingress-bandwidth': '10M' },
          portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
        },
      ],
    })
    expect(podwire('status', 'default/web').stdout).toContain('192.0.2.7')
    expect(podwire('exec', 'default/web', '--', 'ip', '-br', 'address', 'show', 'lo').stdout).toContain(
      '192.0.2.7',
    )
    expect(podwire('exec', 'default/web', '--', 'sh', '-c', 'exit 7').status).toBe(7)
    expect(podwire('exec', 'default/web', '--', 'no-such-command')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('could not be started'),
    })
    expect(podwire('event', 'pod-cidr-change', 'pod-cidr=10.1.0.0/16').status).toBe(0)
    expect(podwire('down', 'default/web').status).toBe(0)
    expect(podwire('down', 'default/web').status).toBe(0)
    expect(readdirSync('/run/netns')).toEqual([])
  }, 60_000)

  test('run takes the sandbox down whatever happens to the command', () => {
    const { podwire, dir } = scriptProject()
    const ran = podwire('run', '--', 'sh', '-c', 'ip -br address show lo; exit 3')
    expect(ran).toMatchObject({ status: 3, stdout: expect.stringContaining('192.0.2.7') })
    expect(podwire('run', '--', 'sh', '-c', 'kill -9 $$').status).toBe(137)
    expect(podwire('run', '--', 'no-such-command').status).toBe(1)
    expect(readdirSync('/run/netns')).toEqual([])
    expect(readdirSync(join(dir, 'state/sandboxes'))).toEqual([])
  }, 60_000)

  test('run passes signals on, and cleans up after them', async () => {
    const { start } = scriptProject()
    const running = start(
      'run',
      '--',
      'sh',
      '-c',
      'trap "echo caught; exit 9" TERM; echo ready; while :; do sleep 0.05; done',
    )
    await once(running.stdout, 'data')
    let output = ''
    running.stdout.on('data', (chunk) => {
      output += chunk
    })
    running.kill('SIGTERM')
    expect((await once(running, 'exit'))[0]).toBe(9)
    expect(output).toContain('caught')
    expect(readdirSync('/run/netns')).toEqual([])
  }, 30_000)

  test('a run that was killed is cleaned up by the next command', async () => {
    const { start, podwire, dir } = scriptProject()
    const running = start('run', '--', 'sh', '-c', 'echo ready; sleep 30')
    await once(running.stdout, 'data')
    running.kill('SIGKILL')
    await once(running, 'exit')
    expect(readdirSync('/run/netns')).toHaveLength(1)
    expect(podwire('down', 'default/other').status).toBe(0)
    expect(readdirSync('/run/netns')).toEqual([])
    expect(readdirSync(join(dir, 'state/sandboxes'))).toEqual([])
  }, 30_000)

  test('two processes set the same pod up once', async () => {
    const { start, podwire } = scriptProject()
    const both = [start('up', 'default/web'), start('up', 'default/web')]
    const codes = await Promise.all(both.map(async (one) => (await once(one, 'exit'))[0]))
    expect(codes).toEqual([0, 0])
    expect(JSON.parse(podwire('status', '--json').stdout).pods).toHaveLength(1)
    expect(podwire('down', 'default/web').status).toBe(0)
  }, 30_000)
})

describe('without privileges', () => {
  // Root without a capability is as powerless as anyone, in a user namespace too.
  const powerless = (dir: string, ...args: string[]) =>
    spawnSync('setpriv', ['--bounding-set=-all', '--inh-caps=-all', process.execPath, bin, ...args], {
      cwd: dir,
      encoding: 'utf8',
    })

  test('up says what to do, and leaves nothing', () => {
    const { dir } = project({ 'podwire.config.json': { stateDir: './state' } })
    const { status, stderr } = powerless(dir, 'up', 'default/web')
    expect(status).toBe(1)
    expect(stderr).toMatch(/root|CAP_SYS_ADMIN/)
    expect(stderr).not.toContain('    at ')
    expect(readdirSync(join(dir, 'state/sandboxes'))).toEqual([])
  })

  test('a configuration that may not be read is an error', () => {
    const { dir } = project({ 'podwire.config.json': {} })
    chmodSync(join(dir, 'podwire.config.json'), 0)
    expect(powerless(dir, 'config', 'check')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("podwire.config.json: it can't be read"),
    })
  })

  test('doctor says how to get them', () => {
    const { dir } = project()
    expect(powerless(dir, 'doctor').stdout).toMatch(
      /privileges +failed +run as root, or in namespaces of your own/,
    )
  })
})
