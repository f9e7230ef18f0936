import { NET_PLUGIN_EVENT_POD_CIDR_CHANGE } from '@podwire/api'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { initOptions, useExecPlugins } from './exec-plugins.ts'

const plugins = useExecPlugins()
const pod = { namespace: 'default', name: 'web', sandboxId: 's1' }
const signal = new AbortController().signal

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
    const [known] = plugins.host.pods
    if (known) {
      const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }]
      plugins.host.pods[0] = { ...known, portMappings }
    }
    plugin.event(NET_PLUGIN_EVENT_POD_CIDR_CHANGE, { 'pod-cidr': '10.88.0.0/24' })
    plugin.event('something-else', { 'pod-cidr': '192.0.2.0/24' })
    await plugin.setUpPod(pod, signal)
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
    await expect(plugin.setUpPod(pod, signal)).rejects.toMatchObject({ code: 'UNKNOWN_SANDBOX' })
    expect(await plugins.read('calls')).toBe('init []\nteardown []\n')
  })

  test('logs what was printed on both streams', async () => {
    const plugin = await plugins.plugin('echo to stdout; echo to stderr >&2')
    await plugin.setUpPod(pod, signal)
    expect(plugins.log.entries.at(-1)).toMatchObject({
      message: expect.stringMatching(/setup$/),
      details: {
        plugin: 'acme.io/net',
        pod,
        output: expect.stringMatching(/to stdout\n(.|\n)*to stderr\n|to stderr\n(.|\n)*to stdout\n/),
      },
    })
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
  test('says plugin, operation, pod, how long, how it ended, and the last words', async () => {
    const plugin = await plugins.plugin('[ "$1" = init ] || { echo trying; echo "no route" >&2; exit 3; }')
    await expect(plugin.setUpPod(pod, signal)).rejects.toMatchObject({
      code: 'EXEC_FAILED',
      message: expect.stringMatching(
        /^Exec plugin "acme\.io\/net": \S+\/net setup for pod default\/web: exit code 3 after \d+ ms: \S/,
      ),
      details: {
        command: 'setup',
        plugin: 'acme.io/net',
        pod,
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
      details: { plugin: 'acme.io/net', pod },
    })
  })

  test('is what stands on stdout, whatever is said on stderr', async () => {
    const plugin = await plugins.plugin(`echo warning >&2; echo '{"ip":"10.88.0.2"}'`)
    expect(await plugin.getPodNetworkStatus(pod, signal)).toEqual({ ip: '10.88.0.2' })
  })
})
