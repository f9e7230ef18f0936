import { readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { createNetworkHost, type NetworkHostOptions } from 'podwire'
import { expect, test } from 'vitest'
import { built, project } from '../../../cli/test/podwire.ts'
import { describeAttack, run, web } from './attacker.ts'

const kubenet = { networkPlugin: 'kubenet', podCIDR: '10.88.0.0/24', stateDir: './state' }
const links = () => run('ip', '-o', 'link').split('\n').length

describeAttack('hostile input', () => {
  test.each([
    ['a pipe', (path: string) => run('mkfifo', path)],
    ['a device that never ends', (path: string) => symlinkSync('/dev/zero', path)],
    ['a directory', (path: string) => run('mkdir', path)],
  ])(
    '%s as configuration is refused at once',
    (_name, make) => {
      const { dir, podwire } = project()
      make(join(dir, 'podwire.config.json'))
      for (const args of [
        ['status'],
        ['config', 'check'],
        ['up', 'default/web', '-c', 'podwire.config.json'],
      ]) {
        const { status, stderr } = podwire(...args)
        expect(status, args.join(' ')).not.toBe(0)
        expect(stderr).toContain('podwire.config.json')
      }
    },
    60_000,
  )

  /** How a program's host fails with a configuration, and its first pod. */
  async function refusal(config: NetworkHostOptions['config']): Promise<unknown> {
    try {
      const host = await createNetworkHost({ cwd: '/', config: { ...config, stateDir: '/run/refused' } })
      await host.setUpPod(web)
      return 'it was set up'
    } catch (error) {
      return error instanceof AggregateError ? error.errors[0] : error
    }
  }

  test('names of links that the kernel reads otherwise make no link', async () => {
    const before = links()
    const names = ['br%d', 'ü', 'all', 'default', '..', 'a/b', 'a b', 'x'.repeat(16), '', 'pw0123456789ab']
    for (const bridge of names) {
      const config = { ...kubenet, plugins: { kubenet: { bridge } } }
      expect(await refusal(config), bridge).toMatchObject({ message: expect.stringContaining('bridge') })
      expect(links(), bridge).toBe(before)
    }
    const { podwire } = project({
      'podwire.config.json': { ...kubenet, plugins: { kubenet: { bridge: 'br%d' } } },
    })
    expect(podwire('up', 'default/web')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('bridge'),
    })
    expect(links()).toBe(before)
  })

  test('pod CIDRs that mean something else are refused', async () => {
    const before = links()
    const ranges = ['127.0.0.0/8', '0.0.0.0/0', '224.0.0.0/4', '169.254.0.0/16', '240.0.0.0/4']
    for (const podCIDR of [...ranges, 'fe80::/64', 'ff00::/8', '::/0', '10.88.0.0/32']) {
      const error = await refusal({ ...kubenet, podCIDR })
      expect(error, podCIDR).toMatchObject({ exitCode: 2, message: expect.stringContaining(podCIDR) })
      expect(links(), podCIDR).toBe(before)
    }
    const { podwire } = project({ 'podwire.config.json': { ...kubenet, podCIDR: '127.0.0.0/8' } })
    expect(podwire('up', 'default/web')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("the host's loopback"),
    })
  })

  test('a port that is published on all addresses twice is refused with its number, and leaves nothing', () => {
    const { dir, podwire } = project({ 'podwire.config.json': kubenet })
    for (const ports of [
      ['-p', '0.0.0.0:80:80', '-p', '80:81'],
      ['-p', '80:80', '-p', '127.0.0.1:80:81'],
    ])
      expect(podwire('up', 'default/web', ...ports)).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('host port 80/tcp is mapped twice'),
      })
    expect(readdirSync(dir)).toEqual(['podwire.config.json'])
    expect(readdirSync('/run/netns')).toEqual([])
  })

  test('looking changes nothing: no bridge, no forwarding, no state', () => {
    const { dir, podwire } = project({ 'podwire.config.json': kubenet })
    const before = { links: links(), forward: readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8') }
    for (const command of ['status', 'doctor', 'ps', 'plugins']) podwire(command)
    expect({ links: links(), forward: readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8') }).toEqual(before)
    expect(readdirSync(dir)).toEqual(['podwire.config.json'])
  }, 60_000)

  test('128 KiB of annotations come up with an exec plugin, and go down', () => {
    const { dir, podwire } = project({
      'podwire.config.json': {
        networkPlugin: 'example.com/script',
        stateDir: './state',
        discovery: { packages: [join(built, 'plugins/exec')] },
        plugins: { exec: { directory: './exec' } },
      },
      'exec/example.com~script/script': `#!/bin/sh
case $1 in
  setup) nsenter --net="$PODWIRE_NETNS" ip address add 192.0.2.7/24 dev lo ;;
  status) echo '{"ip":"192.0.2.7"}' ;;
esac
`,
    })
    run('chmod', '+x', join(dir, 'exec/example.com~script/script'))
    const annotations = [0, 1].flatMap((index) => ['--annotation', `large${index}=${'x'.repeat(100 * 1024)}`])
    expect(podwire('up', 'default/web', ...annotations)).toMatchObject({ status: 0 })
    expect(podwire('down', 'default/web')).toMatchObject({ status: 0 })
    expect(readdirSync('/run/netns')).toEqual([])
  }, 60_000)
})
