import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { buildProgram } from '../src/program.ts'
import { bin, built, ended, project, withScript } from './podwire.ts'

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
  for (const command of ['init', 'run', 'up', 'status', 'doctor'])
    expect(help.stdout).toContain(`  ${command}`)
})

test('every command has an example in its help', async () => {
  const program = await buildProgram(() => async () => {})
  const leaves = program.commands.flatMap((one) => (one.commands.length > 0 ? one.commands : [one]))
  expect(leaves.length).toBeGreaterThan(15)
  for (const one of leaves) {
    let help = ''
    const writeOut = (text: string) => {
      help += text
    }
    one.configureOutput({ writeOut }).outputHelp()
    expect(help).toMatch(new RegExp(`Example:\\n {2}\\$ .*podwire.* ${one.name()}`))
  }
})

test.each([
  [['frobnicate'], 2, "unknown command 'frobnicate'"],
  [['statsu'], 2, 'Did you mean status?'],
  [['up'], 2, "missing required argument 'pod'"],
  [['up'], 2, 'See: podwire up --help'],
  [['cni', 'tset'], 2, 'See: podwire cni --help'],
  [['cluster', 'init'], 2, 'podwire cluster init: nothing is given; expected --network CIDR'],
  [['up', 'default/web', '--frob'], 2, "unknown option '--frob'"],
  [['up', 'default/web', '-p', '99999:80'], 2, 'port 99999'],
  [['up', 'default/web', '--netns', '/etc/passwd'], 2, 'not a network namespace'],
  [['up', 'default/a_b'], 2, 'name "a_b"'],
  [['down', '../web'], 2, 'namespace ".."'],
  [['exec', 'default/none', '--', 'true'], 1, 'There is no pod default/none'],
  [['status', 'default/none'], 1, 'There is no pod default/none'],
  [['down'], 2, 'a pod, as NAMESPACE/NAME, or --all'],
  [['check', 'default/none'], 1, 'no pod default/none'],
  [['completion', 'csh'], 2, 'Allowed choices are bash, zsh, fish'],
  [['status', '--config', 'none.json'], 2, 'No configuration at'],
  [['event', 'repair', 'novalue'], 2, 'expected KEY=VALUE'],
])('podwire %j exits with %i and says why', (args, status, text) => {
  const result = project({ 'podwire.config.json': { stateDir: './state' } }).podwire(...args)
  expect(result.stderr).toContain(text)
  expect(result.status).toBe(status)
})

test('an error is JSON where JSON was asked for', () => {
  const { podwire } = project({ 'podwire.config.json': { networkPlugins: 'x' } })
  const { status, stdout } = podwire('up', 'default/web', '--json')
  expect(status).toBe(2)
  expect(JSON.parse(stdout)).toMatchObject({
    errors: [
      {
        code: 'CONFIG_INVALID',
        message: expect.stringContaining('networkPlugin'),
        help: expect.stringMatching(/^https:.*\/errors\/CONFIG_INVALID$/),
      },
    ],
  })
})

test('an error names its page, that of its innermost cause', () => {
  const { podwire } = project(withScript) // a script that isn't executable: its plugin fails at init
  const { stderr } = podwire('event', 'repair')
  expect(stderr).toMatch(/^podwire: help: https:.*\/errors\/EXEC_BAD_PERMISSIONS$/m)
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

const hasNameServer = /^nameserver (?!127\.|0\.)\d/m.test(readFileSync('/etc/resolv.conf', 'utf8'))

test.skipIf(!hasNameServer)('doctor says which name servers would have to know the way to pods', () => {
  const say = (nonMasqueradeCIDR: string) => {
    const config = { networkPlugin: 'kubenet', podCIDR: 'auto', nonMasqueradeCIDR }
    const { stdout } = project({ 'podwire.config.json': config }).podwire('doctor', '--json')
    return JSON.parse(stdout).find(({ check }: { check: string }) => check === 'name servers')
  }
  expect(say('0.0.0.0/0')).toMatchObject({
    result: 'missing',
    say: expect.stringContaining("in nonMasqueradeCIDR 0.0.0.0/0 sees pods' own addresses"),
  })
  expect(say('192.0.2.0/24')).toMatchObject({ result: 'ok' })
})

test('doctor says what is missing where koffi has no native part', () => {
  const { dir } = project({ 'other.mjs': `Object.defineProperty(process, 'arch', { value: 'pdp11' })` })
  const args = ['--import', './other.mjs', bin, 'doctor']
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: dir, encoding: 'utf8' })
  expect(stdout).toMatch(
    /native calls +failed +netlink needs Linux on x64 or arm64 .* this is linux pdp11\. \S/,
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

// As where Linux was booted with ipv6.disable=1: the kernel's settings have no such directory.
const withoutIpv6 = `
  mkdir -p ipv4 && mount --bind /proc/sys/net/ipv4 ipv4 && mount -t tmpfs tmpfs /proc/sys/net &&
  mkdir /proc/sys/net/ipv4 && mount --bind ipv4 /proc/sys/net/ipv4 && exec "$@"`

test.skipIf(!isIsolated())(
  'a pod CIDR with IPv6 is refused where the kernel has none, before anything is set up',
  () => {
    const podCIDR = '10.88.0.0/16,fd88::/64'
    const { dir } = project({
      'podwire.config.json': { podCIDR, networkPlugin: 'kubenet', stateDir: './state' },
    })
    const run = (...args: string[]) =>
      spawnSync('unshare', ['-m', 'sh', '-c', withoutIpv6, 'sh', process.execPath, bin, ...args], {
        cwd: dir,
        encoding: 'utf8',
      })
    const reason = `the pod CIDR ${podCIDR} has an IPv6 network, and this kernel has no IPv6`
    const doctor = run('doctor')
    expect(doctor.stdout + doctor.stderr).toMatch(new RegExp(`network plugin +failed .*${reason}`))
    expect(doctor.status).toBe(1)
    const up = run('up', 'default/web')
    expect(up.stderr).toContain(reason)
    expect(up.status).toBe(1)
  },
)

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
      status: 127,
      stderr: expect.stringMatching(/^podwire: no-such-command: command not found\npodwire: help: \S+\n$/),
    })
    expect(podwire('exec', 'default/web', '--', '/etc/passwd').status).toBe(126)
    expect(podwire('check', 'default/web').stdout).toBe('default/web: ok\n')
    expect(podwire('repair').stdout).toBe('default/web: ok\n')
    expect(podwire('gc').status).toBe(0)
    expect(podwire('event', 'frobnicate')).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('reported nothing of "frobnicate"'),
    })
    expect(podwire('event', 'pod-cidr-change', 'pod-cidr=10.1.0.0/16').status).toBe(0)
    expect(podwire('down', 'default/web').status).toBe(0)
    expect(podwire('down', 'default/web').status).toBe(0)
    expect(readdirSync('/run/netns')).toEqual([])
  }, 240_000)

  test('run takes the sandbox down whatever happens to the command', () => {
    const { podwire, dir } = scriptProject()
    const ran = podwire('run', '--', 'sh', '-c', 'ip -br address show lo; exit 3')
    expect(ran).toMatchObject({ status: 3, stdout: expect.stringContaining('192.0.2.7') })
    expect(podwire('run', '--', 'sh', '-c', 'kill -9 $$').status).toBe(137)
    expect(podwire('run', '--', 'no-such-command').status).toBe(127)
    expect(readdirSync('/run/netns')).toEqual([])
    expect(readdirSync(join(dir, 'state/sandboxes'))).toEqual([])
  }, 240_000)

  test('run never takes the place of a pod that is up, unless told to', () => {
    const { podwire } = scriptProject()
    expect(podwire('up', 'default/web').status).toBe(0)
    expect(podwire('run', '--name', 'default/web', '--', 'true')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--replace'),
    })
    expect(podwire('ps').stdout).toMatch(/default\/web +ready/)
    expect(podwire('run', '--name', 'default/web', '--replace', '--', 'true').status).toBe(0)
    expect(podwire('ps').stdout).toBe('no pods\n')
  }, 240_000)

  test('of two runs of one name at once, one is refused and the other keeps its network', async () => {
    const { start, podwire, dir } = scriptProject()
    const script = 'echo "$$" >> started; while ! [ -e go-on ]; do sleep 0.05; done; ip -br address show lo'
    const runs = [1, 2].map(() => start('run', '--name', 'default/web', '--', 'sh', '-c', script))
    const ends = runs.map(ended)
    const refused = await Promise.race(ends)
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('is set up already') })
    expect(podwire('ps').stdout).toMatch(/default\/web +ready/)
    writeFileSync(join(dir, 'go-on'), '')
    const codes = await Promise.all(ends)
    expect(codes.map(({ code }) => code).sort()).toEqual([0, 2])
    expect(codes.find(({ code }) => code === 0)?.stdout).toContain('192.0.2.7')
    expect(readdirSync('/run/netns')).toEqual([])
  }, 240_000)

  test('run --timeout ends a command that takes longer, one that ignores SIGTERM too', () => {
    const { podwire } = scriptProject()
    expect(podwire('run', '--timeout', '300ms', '--', 'sleep', '1000').status).toBe(124)
    const stubborn = podwire(
      'run',
      '--timeout',
      '300ms',
      '--json',
      '--',
      'sh',
      '-c',
      'trap "" TERM; echo out; while :; do sleep 1; done',
    )
    expect(stubborn).toMatchObject({ status: 124, stderr: 'out\n' })
    expect(JSON.parse(stubborn.stdout)).toMatchObject({
      ip: '192.0.2.7',
      exitCode: 124,
      signal: 'SIGKILL',
      timedOut: true,
    })
    expect(JSON.parse(podwire('run', '--json', '--', 'sh', '-c', 'exit 3').stdout)).toMatchObject({
      exitCode: 3,
      timedOut: false,
    })
  }, 240_000)

  test('down --all takes every pod down, and ps shows what runs in them until then', async () => {
    const { start, podwire } = scriptProject()
    for (const pod of ['default/a', 'default/b']) expect(podwire('up', pod, '-p', '53:53/udp').status).toBe(0)
    const running = start('exec', 'default/a', '--', 'sh', '-c', 'echo ready; exec sleep 1000')
    await once(running.stdout, 'data')
    const [a, b] = JSON.parse(podwire('ps', '--json').stdout)
    expect([a, b]).toMatchObject([
      { name: 'a', pids: [expect.any(Number)] },
      { name: 'b', pids: [] },
    ])
    expect(podwire('ps').stdout).toMatch(
      new RegExp(`default/a +ready +192\\.0\\.2\\.7 +53:53/udp +- +\\d+s +${a.pids[0]}\n`),
    )
    const end = ended(running)
    expect(podwire('down', '--all').status).toBe(0)
    // Its sandbox is gone, and it with it.
    expect(await end).toMatchObject({ code: 137 })
    expect(podwire('ps').stdout).toBe('no pods\n')
    expect(readdirSync('/run/netns')).toEqual([])
  }, 240_000)

  test('down takes all attachments of a pod, as down --all advises', async () => {
    const { podwire, dir } = project()
    const ip = (...words: string[]) => spawnSync('ip', ['netns', ...words])
    ip('add', 'c1')
    onTestFinished(() => void ip('del', 'c1'))
    // As it was built: a record names the file of the plugin, which the command line has to be able to load.
    const library = (await import(
      join(built, 'packages/cli/dist/index.js')
    )) as typeof import('../src/index.ts')
    const host = await library.createNetworkHost({
      config: { networkPlugin: 'kubenet', podCIDR: '10.88.0.0/24', stateDir: `${dir}/state` },
    })
    for (const ifName of ['eth0', 'eth1']) {
      const attachment = { network: `net-${ifName}`, containerId: 'c1', ifName }
      const web = { namespace: 'default', name: 'web', sandboxId: `c1-${ifName}` }
      await host.setUpPod({ ...web, netns: '/run/netns/c1', attachment })
    }
    await host.close()
    const on = ['--state-dir', `${dir}/state`]
    expect(podwire('down', '--all', ...on).stderr).toContain('to tear it down too: podwire down default/web')
    expect(podwire('ps', ...on).stdout.match(/default\/web +ready/g)).toHaveLength(2)
    expect(podwire('down', 'default/web', ...on)).toMatchObject({ status: 0, stderr: '' })
    expect(podwire('ps', ...on).stdout).toBe('no pods\n')
    expect(podwire('prune', '--all', ...on).status).toBe(0)
  })

  test('prune --all takes every pod, and what kubenet made for all of them', () => {
    const { podwire } = project()
    const traces = () =>
      ['ip -o link', 'ip -o addr', 'ip route show table all', 'nft list tables']
        .map((line) => spawnSync('sh', ['-c', line], { encoding: 'utf8' }).stdout)
        .join('')
        .split('\n')
        .filter((line) => /podwire|cbr0|\bpw[0-9a-f]|10\.88\./.test(line))
    expect(traces()).toEqual([])
    expect(podwire('up', 'default/web', '-p', '8080:80')).toMatchObject({ status: 0 })
    expect(traces()).not.toEqual([])
    expect(podwire('prune', '--all')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('torn down'),
    })
    expect(traces()).toEqual([])
  })

  test('--verbose tells what kubenet does, and nothing does without', () => {
    const { podwire } = project()
    const { stderr } = podwire('up', 'default/web', '--verbose')
    for (const step of ['what all pods share', 'default/web: address', 'default/web: link'])
      expect(stderr).toContain(`debug: kubenet: ${step}`)
    expect(podwire('up', 'default/quiet').stderr).toBe('')
    const down = podwire('down', '--all', '--verbose').stderr
    expect(down).toContain('debug: kubenet: default/web: taking ports, link and addresses away')
  })

  test('exec refuses a namespace that is not the one that was set up', () => {
    const { podwire } = scriptProject()
    expect(podwire('up', 'default/web').status).toBe(0)
    const [{ netns }] = JSON.parse(podwire('ps', '--json').stdout)
    // Made before the other is gone, whose number the kernel could give it otherwise.
    spawnSync('ip', ['netns', 'add', 'another'])
    spawnSync('umount', [netns])
    spawnSync('mount', ['--bind', '/run/netns/another', netns])
    expect(podwire('exec', 'default/web', '--', 'true')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('is gone'),
    })
    podwire('down', 'default/web')
    for (const name of ['another', netns.split('/').at(-1)]) spawnSync('ip', ['netns', 'delete', name])
  }, 240_000)

  test('two processes set the same pod up once', async () => {
    const { start, podwire } = scriptProject()
    const both = [start('up', 'default/web'), start('up', 'default/web')]
    const codes = await Promise.all(both.map(async (one) => (await once(one, 'exit'))[0]))
    expect(codes).toEqual([0, 0])
    expect(JSON.parse(podwire('status', '--json').stdout).pods).toHaveLength(1)
    expect(podwire('down', 'default/web').status).toBe(0)
  }, 240_000)
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
    expect(stderr).toContain('Be root, or root of namespaces of your own: unshare -rnm')
    expect(stderr).not.toContain('    at ')
    expect(readdirSync(join(dir, 'state/sandboxes'))).toEqual([])
  })

  test('doctor says how to get them', () => {
    const { dir } = project()
    expect(powerless(dir, 'doctor').stdout).toMatch(
      /privileges +failed +.*Be root, or root of namespaces of your own: unshare -rnm/,
    )
  })
})
