import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { NET_PLUGIN_EVENT_POD_CIDR_CHANGE } from '@podwire/api'
import { fakePod } from '@podwire/testing'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { initOptions, pod, useExecPlugins } from './exec-plugins.ts'

const plugins = useExecPlugins()
const runSource = new URL('../../../.dev/run-source.mjs', import.meta.url).pathname
const oneCall = new URL('one-call.ts', import.meta.url).pathname
const signal = new AbortController().signal
const names = { namespace: 'default', name: 'web', sandboxId: 's1' }

afterEach(() => vi.unstubAllEnvs())

describe('a call', () => {
  test('passes its operation and the names of the pod', async () => {
    const plugin = await plugins.plugin('echo "$# $*" >> "$T/calls"')
    await plugin.setUpPod(pod, signal)
    await plugin.getPodNetworkStatus(pod, signal)
    await plugin.tearDownPod(pod, signal)
    expect(await plugins.read('calls')).toBe(
      '1 init\n4 setup default web s1\n4 status default web s1\n4 teardown default web s1\n',
    )
    await expect(plugin.status()).resolves.toBeUndefined()
  })

  test('gets the environment of the host, and what a script needs to know', async () => {
    vi.stubEnv('PODWIRE_NETNS', '/run/netns/of-somebody-else')
    vi.stubEnv('FROM_THE_HOST', 'yes')
    const plugin = await plugins.plugin('env | grep -e PODWIRE_ -e FROM_ | sort > "$T/env-$1"')
    expect(await plugins.read('env-init')).toContain('PODWIRE_NETNS=\n')
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }]
    plugin.event(NET_PLUGIN_EVENT_POD_CIDR_CHANGE, { 'pod-cidr': '10.88.0.0/24' })
    plugin.event('something-else', { 'pod-cidr': '192.0.2.0/24' })
    await plugin.setUpPod({ ...pod, portMappings }, signal)
    const variables = Object.fromEntries(
      (await plugins.read('env-setup')).split('\n').map((line) => line.split(/=(.*)/s)),
    )
    expect(variables).toMatchObject({
      FROM_THE_HOST: 'yes',
      PODWIRE_NETNS: '/run/netns/s1',
      PODWIRE_IFNAME: 'eth0',
      PODWIRE_POD_CIDR: '10.88.0.0/24',
      PODWIRE_MTU: '1400',
      PODWIRE_HAIRPIN_MODE: 'hairpin-veth',
      PODWIRE_NON_MASQUERADE_CIDR: '10.0.0.0/8',
      PODWIRE_PORT_MAPPINGS: '[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]',
      PODWIRE_ANNOTATIONS: '{"tier":"front end"}',
    })
  })

  test('leaves PODWIRE_NETNS empty for a tear-down after the namespace is gone, and only then', async () => {
    const plugin = await plugins.plugin('echo "$1 [$PODWIRE_NETNS]" >> "$T/calls"')
    plugins.host.sandboxes.clear()
    await plugin.tearDownPod(pod, signal)
    await expect(plugin.getPodNetworkStatus(pod, signal)).rejects.toMatchObject({ code: 'UNKNOWN_SANDBOX' })
    expect(await plugins.read('calls')).toBe('init []\nteardown []\n')
  })

  test('is about the sandbox that it is for, where a pod has two', async () => {
    const plugin = await plugins.plugin(
      '[ "$1" = init ] || echo "$1 $4 $PODWIRE_NETNS $PODWIRE_ANNOTATIONS" >> "$T/calls"',
    )
    const next = fakePod({ sandboxId: 's2', annotations: { tier: 'back end' } })
    plugins.host.pods.push(next)
    plugins.host.sandboxes.set('s2', next.netns)
    await plugin.setUpPod(pod, signal)
    await plugin.setUpPod(next, signal)
    await plugin.tearDownPod(next, signal)
    expect(await plugins.read('calls')).toBe(
      'setup s1 /run/netns/s1 {"tier":"front end"}\nsetup s2 /run/netns/s2 {"tier":"back end"}\nteardown s2 /run/netns/s2 \n',
    )
  })

  test('reads the whole pod from stdin in a setup, and nothing in any other', async () => {
    const plugin = await plugins.plugin('cat > "$T/stdin-$1"')
    await plugin.setUpPod(pod, signal)
    await plugin.getPodNetworkStatus(pod, signal)
    await plugin.tearDownPod(pod, signal)
    expect(JSON.parse(await plugins.read('stdin-setup'))).toEqual(pod)
    for (const call of ['init', 'status', 'teardown']) expect(await plugins.read(`stdin-${call}`)).toBe('')
  })

  test('takes annotations of any size: large ones by stdin alone', async () => {
    vi.stubEnv('PODWIRE_ANNOTATIONS', '{"of":"somebody else"}')
    const plugin = await plugins.plugin('cat > "$T/stdin-$1"; env > "$T/env-$1"')
    const annotations = Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => [`key-${index}`, 'ä'.repeat(4_000)]),
    )
    await plugin.setUpPod({ ...pod, annotations }, signal)
    await plugin.tearDownPod(pod, signal)
    expect(JSON.parse(await plugins.read('stdin-setup'))).toMatchObject({ annotations })
    expect(await plugins.read('env-setup')).toContain('PODWIRE_PORT_MAPPINGS=[]')
    expect(await plugins.read('env-setup')).not.toContain('PODWIRE_ANNOTATIONS')
    expect(await plugins.read('env-teardown')).not.toContain('PODWIRE_ANNOTATIONS')
  })

  test('may leave what stands on stdin unread, also in a daemon that outlives it', async () => {
    const plugin = await plugins.plugin(
      '[ "$1" = init ] || { exec 3<&0; sleep 60 <&3 & echo $! > "$T/daemon"; }',
    )
    const annotations = { large: 'x'.repeat(1_000_000) }
    await plugin.setUpPod({ ...pod, annotations }, signal)
    process.kill(Number(await plugins.read('daemon')))
  })

  test('logs what was printed on both streams', async () => {
    const plugin = await plugins.plugin('echo to stdout; echo to stderr >&2')
    await plugin.setUpPod(pod, signal)
    expect(plugins.log.entries.at(-1)).toMatchObject({
      message: expect.stringMatching(/setup$/),
      details: {
        plugin: 'acme.io/net',
        pod: names,
        output: expect.stringMatching(/to stdout\n(.|\n)*to stderr\n|to stderr\n(.|\n)*to stdout\n/),
      },
    })
  })

  test('can send nothing to a terminal but text', async () => {
    const plugin = await plugins.plugin(`[ "$1" = init ] && exit; printf 'a\\033[2Jb\\n'; [ "$1" = setup ]`)
    await plugin.setUpPod(pod, signal)
    expect(plugins.log.entries.at(-1)?.details).toMatchObject({ output: 'a\\u001b[2Jb\n' })
    const error = await plugin.tearDownPod(pod, signal).catch((thrown: Error) => thrown)
    expect(error).toMatchObject({
      message: expect.stringContaining('a\\u001b[2Jb'),
      details: { output: 'a\\u001b[2Jb\n' },
    })
  })

  test('prints nothing to the stdout and stderr of the host', async () => {
    await plugins.write('acme.io~net', 'echo noise; echo more noise >&2; (echo late noise) &')
    const args = [...process.execArgv, '--import', runSource, oneCall, plugins.file('plugins')]
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args)
    expect([stdout, stderr]).toEqual(['', ''])
  })

  test('for one pod does not wait for another', async () => {
    // Each waits until the other has begun.
    const plugin = await plugins.plugin(
      '[ "$1" = init ] && exit; touch "$T/$3"; for i in $(seq 400); do [ -e "$T/a" ] && [ -e "$T/b" ] && exit; sleep 0.02; done; exit 9',
    )
    await Promise.all(['a', 'b'].map((name) => plugin.setUpPod({ ...pod, name }, signal)))
  })

  test('before init is refused, as is one after an init that failed', async () => {
    await plugins.write('acme.io~net', 'echo no bridge >&2; exit 4')
    const [plugin] = await plugins.probe()
    await expect(plugin?.setUpPod(pod, signal)).rejects.toMatchObject({ code: 'EXEC_NOT_INITIALISED' })
    await expect(plugin?.init(plugins.host, initOptions)).rejects.toThrow(/init: exit code 4.*no bridge/)
    await expect(plugin?.status()).rejects.toMatchObject({ code: 'EXEC_NOT_INITIALISED' })
  })
})

describe('a call that fails', () => {
  test('says plugin, operation, pod, how long, how it ended, and the last line', async () => {
    const plugin = await plugins.plugin('[ "$1" = init ] || { echo trying; echo "no route" >&2; exit 3; }')
    await expect(plugin.setUpPod(pod, signal)).rejects.toMatchObject({
      code: 'EXEC_FAILED',
      message: expect.stringMatching(
        /^Exec plugin "acme\.io\/net": \S+\/net setup for pod default\/web: exit code 3 after \d+ ms: \S/,
      ),
      details: {
        command: 'setup',
        plugin: 'acme.io/net',
        pod: names,
        output: expect.stringContaining('no route'),
      },
    })
  })

  test('names the signal that ended it', async () => {
    const plugin = await plugins.plugin('[ "$1" = init ] || kill -SEGV $$')
    await expect(plugin.tearDownPod(pod, signal)).rejects.toThrow('ended by SIGSEGV')
  })

  test('that could not start says why', async () => {
    const plugin = await plugins.plugin('[ "$1" = init ] || exit 1')
    await plugins.write('acme.io~net', 'exit 0', 0o644)
    await expect(plugin.setUpPod(pod, signal)).rejects.toThrow(/it did not start.*EACCES/)
  })
})

describe('status', () => {
  const status = async (printed: string) =>
    (await plugins.plugin(`cat <<'END'\n${printed}\nEND`)).getPodNetworkStatus(pod, signal)

  test.each([
    ['', undefined],
    ['  \n ', undefined],
    ['{"ip":"10.88.0.2"}', { ip: '10.88.0.2' }],
    ['{"kind":"","apiVersion":"","ip":"fd00::2"}', { ip: 'fd00::2' }],
    ['{"kind":"PodNetworkStatus","apiVersion":"v1beta1","ip":"10.88.0.2","more":1}', { ip: '10.88.0.2' }],
    ['{"ip":"10.88.0.2","ips":["10.88.0.2","fd00::2"]}', { ip: '10.88.0.2', ips: ['10.88.0.2', 'fd00::2'] }],
  ])('reads %j', async (printed, expected) => {
    expect(await status(printed)).toEqual(expected)
  })

  test.each([
    ['an address: 10.88.0.2', 'it is not JSON'],
    ['"10.88.0.2"', 'it is not a JSON object'],
    ['[]', 'it is not a JSON object'],
    ['null', 'it is not a JSON object'],
    ['{"kind":"Pod","ip":"10.88.0.2"}', 'kind is "Pod", expected "PodNetworkStatus"'],
    ['{"kind":null,"ip":"10.88.0.2"}', 'kind is null'],
    ['{"apiVersion":"v1","ip":"10.88.0.2"}', 'apiVersion is "v1", expected "v1beta1"'],
    ['{"kind":"PodNetworkStatus"}', 'ip is undefined, expected an IP address'],
    ['{"ip":"10.88.0.256"}', 'ip is "10.88.0.256"'],
    ['{"ip":"10.88.0.2/24"}', 'ip is "10.88.0.2/24"'],
    ['{"ip":[]}', 'ip is []'],
    ['{"ip":"10.88.0.2","ips":["x"]}', 'ips is ["x"], expected a list of IP addresses'],
  ])('refuses %j: %s', async (printed, problem) => {
    await expect(status(printed)).rejects.toMatchObject({
      code: 'EXEC_BAD_STATUS',
      message: expect.stringContaining(problem),
      details: { plugin: 'acme.io/net', pod: names },
    })
  })

  test('is what stands on stdout, whatever is said on stderr', async () => {
    const plugin = await plugins.plugin(`echo warning >&2; echo '{"ip":"10.88.0.2"}'`)
    expect(await plugin.getPodNetworkStatus(pod, signal)).toEqual({ ip: '10.88.0.2' })
  })
})
