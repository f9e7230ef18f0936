import { copyFileSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { namesIn } from '@podwire/api/files'
import { isIsolated } from '@podwire/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingPrograms } from '../../../../.dev/missing-programs.ts'
import { type Machine, makeMachine } from './machine.ts'
import { ask } from './traffic.ts'

const missing = missingPrograms('podman', 'runc', 'conmon', '/bin/busybox', '/usr/lib/cni/loopback')
const cgroupParent = `podwire-test-${process.pid}`

describe.skipIf(!isIsolated() || missing.length > 0)(
  `podman${missing.length > 0 ? ` (no ${missing.join(', ')})` : ''}`,
  () => {
    let machine: Machine
    let daemon: Awaited<ReturnType<Machine['startDaemon']>>
    const file = (name: string) => join(machine.dir, name)

    const podman = (...args: string[]) =>
      machine.run(
        'env',
        `CONTAINERS_CONF=${file('containers.conf')}`,
        `CONTAINERS_STORAGE_CONF=${file('storage.conf')}`,
        'podman',
        '--runtime',
        'runc',
        ...args,
      )
    const run = (name: string, flags: readonly string[], ...command: string[]) =>
      podman(
        ...['run', '-d', '--name', name, '--cgroup-parent', `/${cgroupParent}`, ...flags],
        // What a container may have here.
        ...['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'],
        ...['--rootfs', file('rootfs'), '/bin/busybox', ...command],
      )
    const httpd = ['httpd', '-f', '-p', '80', '-h', '/www']
    const addressOf = async (name: string) =>
      (
        await podman('inspect', name, '--format', '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}')
      ).trim()
    const left = async () => ({
      pods: (await (await machine.host()).pods()).map(({ pod, phase }) => `${pod.name} ${phase}`),
      addresses: namesIn(join(machine.stateDir, 'plugins/kubenet/addresses')),
      links: (await machine.run('ip', '-br', 'link')).split('\n').filter((line) => line.startsWith('pw')),
      journal: namesIn(join(machine.stateDir, 'cni-journal')),
    })
    const nothing = { pods: [], addresses: [], links: [], journal: [] }

    beforeAll(async () => {
      machine = await makeMachine('10.78.0.0/24')
      daemon = await machine.startDaemon()
      await machine.podwire('cni', 'install', '--bin-dir', machine.binDir, '--conf-dir', machine.confDir)
      mkdirSync(file('rootfs/bin'), { recursive: true })
      mkdirSync(file('rootfs/www'))
      copyFileSync('/bin/busybox', file('rootfs/bin/busybox'))
      writeFileSync(file('rootfs/www/index.html'), 'hello from the container\n')
      const conf = [
        '[network]',
        'network_backend = "cni"',
        `cni_plugin_dirs = ["${machine.binDir}"]`,
        `network_config_dir = "${machine.confDir}"`,
        'default_network = "podwire"',
        '[engine]',
        'cgroup_manager = "cgroupfs"',
        'events_logger = "file"',
      ]
      writeFileSync(file('containers.conf'), conf.join('\n'))
      const storage = [
        '[storage]',
        'driver = "vfs"',
        `runroot = "${file('run')}"`,
        `graphroot = "${file('storage')}"`,
      ]
      writeFileSync(file('storage.conf'), storage.join('\n'))
    })
    afterAll(async () => {
      await podman('rm', '--all', '--force', '--time', '0').catch(() => {})
      await machine?.close()
      removeCgroups()
    })

    test('sees the network', async () => {
      expect(await podman('network', 'ls')).toMatch(/\bpodwire +podwire\b/)
    })

    test('runs a container with an address and a published port, and stops it', async () => {
      await run('one', ['-p', '8081:80'], ...httpd)
      const ip = await addressOf('one')
      expect(ip).toMatch(/^10\.78\.0\.\d+$/)
      expect(await fetchText(`http://${ip}/`)).toBe('hello from the container\n')
      expect(await fetchText('http://127.0.0.1:8081/')).toBe('hello from the container\n')
      const [record] = await (await machine.host()).pods()
      expect(record).toMatchObject({
        pod: { name: 'one', portMappings: [{ hostPort: 8081, containerPort: 80, protocol: 'tcp' }] },
        attachment: { network: 'podwire', ifName: 'eth0' },
      })
      await podman('stop', '--time', '0', 'one')
      await expect(ask('127.0.0.1', 8081)).rejects.toThrow()
      expect(await left()).toEqual(nothing)
      await podman('rm', 'one')
    })

    test('gives a container the addresses that it asks for', async () => {
      await run('fixed', ['--ip', '10.78.0.77', '--mac-address', '02:42:0a:4e:00:4d'], ...httpd)
      expect(await addressOf('fixed')).toBe('10.78.0.77')
      const [record] = await (await machine.host()).pods()
      expect(record?.status?.interfaces?.[0]?.mac).toBe('02:42:0a:4e:00:4d')
      expect(await fetchText('http://10.78.0.77/')).toBe('hello from the container\n')
      await podman('rm', '--force', '--time', '0', 'fixed')
      expect(await left()).toEqual(nothing)
    })

    test('names a container as no pod may be called, and is told so by another name', async () => {
      await run('My_Web', [], ...httpd)
      const [record] = await (await machine.host()).pods()
      expect(record?.pod.name).toMatch(/^my-web-[0-9a-f]{8}$/)
      await podman('rm', '--force', '--time', '0', 'My_Web')
      expect(await left()).toEqual(nothing)
    })

    test('is told that no daemon runs, and takes containers down all the same', async () => {
      await run('stays', [], ...httpd)
      await daemon.kill()
      await expect(run('none', [], ...httpd)).rejects.toThrow(/podwire/)
      await podman('rm', '--force', '--time', '0', 'stays')
      daemon = await machine.startDaemon()
      await run('next', [], ...httpd)
      await podman('rm', '--force', '--time', '0', 'next')
      expect(await left()).toEqual(nothing)
    })
  },
)

async function fetchText(url: string): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await (await fetch(url)).text()
    } catch (error) {
      // The container's program is started beside this.
      if (attempt === 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** What runc leaves of the group that its containers were in. */
function removeCgroups(): void {
  const groups = readdirSync('/sys/fs/cgroup').flatMap((name) => [join('/sys/fs/cgroup', name, cgroupParent)])
  for (const group of [join('/sys/fs/cgroup', cgroupParent), ...groups]) {
    try {
      for (const inner of readdirSync(group, { withFileTypes: true }))
        if (inner.isDirectory()) rmdirSync(join(group, inner.name))
      rmdirSync(group)
    } catch {
      // It was never there, or is still being left.
    }
  }
}
