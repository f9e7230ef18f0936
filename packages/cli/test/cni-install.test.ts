import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createCni, loadNetwork } from '@podwire/libcni'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { daemonProject } from './daemon-process.ts'

let count = 0

/** A daemon with kubenet, and directories as runtimes have them. */
async function place() {
  const stateDir = `/run/podwire-install-${++count}`
  const made = daemonProject({ networkPlugin: 'kubenet', podCIDR: `10.9${count}.0.0/24`, stateDir })
  const [binDir, confDir] = [join(made.dir, 'bin'), join(made.dir, 'net.d')]
  mkdirSync(binDir)
  const where = ['--bin-dir', binDir, '--conf-dir', confDir]
  return {
    ...made,
    stateDir,
    binDir,
    confDir,
    shim: join(binDir, 'podwire'),
    conflist: join(confDir, '10-podwire.conflist'),
    cni: (command: string, ...more: string[]) => made.podwire('cni', command, ...where, ...more),
  }
}

describe.skipIf(!isIsolated())('podwire cni install', () => {
  test('makes the daemon the network of whoever calls the executable, and uninstall ends that', async () => {
    const { cni, startDaemon, shim, binDir, confDir, conflist, podwire } = await place()
    expect(cni('status').status).toBe(1)
    await startDaemon()
    expect(cni('install')).toMatchObject({ status: 0, stderr: '' })
    expect(statSync(shim).mode & 0o777).toBe(0o755)
    expect(JSON.parse(readFileSync(conflist, 'utf8'))).toMatchObject({ name: 'podwire', cniVersion: '1.0.0' })
    const status = cni('status', '--json')
    expect(JSON.parse(status.stdout)).toMatchObject({
      answers: 'podwire',
      networks: [{ file: conflist, isOurs: true, plugins: ['podwire'] }],
      shim: { path: shim, state: 'current' },
      ready: { ready: true },
    })
    expect(status.status).toBe(0)

    execFileSync('ip', ['netns', 'add', 'one'])
    const runtime = createCni({ pluginDirectories: [binDir], cacheDirectory: join(binDir, '../cache') })
    const network = await loadNetwork(confDir, 'podwire')
    const attachment = { containerId: 'one', ifName: 'eth0', netns: '/run/netns/one' }
    const result = await runtime.add(network, attachment)
    expect(result).toMatchObject({ cniVersion: '1.1.0', routes: [{ dst: '0.0.0.0/0' }] })
    expect(
      execFileSync('ip', ['-n', 'one', '-br', 'address', 'show', 'eth0'], { encoding: 'utf8' }),
    ).toContain('10.9')
    await runtime.check(network, attachment)
    await runtime.status(network)
    await runtime.gc(network, [attachment])
    expect(JSON.parse(podwire('ps', '--json').stdout)).toHaveLength(1)
    // What a runtime attached stays its own, until it is told otherwise.
    expect(podwire('up', 'default/own').status).toBe(0)
    for (const command of ['prune', 'down']) {
      const { status, stderr } = podwire(command, '--all')
      expect([status, stderr]).toEqual([
        0,
        expect.stringMatching(
          /^podwire: cni\/one: left alone, as a container runtime .*--all --attachments\n$/,
        ),
      ])
      expect(podwire(command, '--attachments').status).toBe(2)
    }
    expect(JSON.parse(podwire('ps', '--json').stdout)).toMatchObject([{ name: 'one' }])
    await runtime.check(network, attachment)
    expect(podwire('prune', '--all', '--attachments')).toMatchObject({
      status: 0,
      stdout: 'cni/one: torn down: all were to go\n',
    })
    await runtime.add(network, attachment)
    expect(podwire('down', '--all', '--attachments').status).toBe(0)
    expect(podwire('ps').stdout).toBe('no pods\n')
    await runtime.del(network, attachment)

    expect(cni('uninstall')).toMatchObject({ status: 0, stderr: '' })
    expect([...readdirSync(binDir), ...readdirSync(confDir)]).toEqual([])
    expect(cni('uninstall').status).toBe(0)
  })

  test('replaces an executable that runs, and what an earlier one wrote', async () => {
    const { cni, startDaemon, shim, conflist, binDir } = await place()
    await startDaemon()
    expect(cni('install').status).toBe(0)
    const before = statSync(shim).ino
    writeFileSync(shim, '#!/bin/sh\n[ -n "$CNI_COMMAND" ] || exec sleep 60\n')
    const running = spawn(shim, { stdio: 'ignore' })
    await once(running, 'spawn')
    expect(cni('status').stdout).toContain('another version')
    const chain = join(binDir, 'portmap')
    const spoken = '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}'
    writeFileSync(chain, `#!/bin/sh\necho '${spoken}'\n`, { mode: 0o755 })
    expect(cni('install', '--chain', 'portmap')).toMatchObject({ status: 0, stderr: '' })
    expect(running.exitCode).toBeNull()
    running.kill('SIGKILL')
    expect(statSync(shim).ino).not.toBe(before)
    const { plugins, cniVersions } = JSON.parse(readFileSync(conflist, 'utf8'))
    // It speaks no newer one.
    expect(cniVersions).toEqual(['1.0.0'])
    expect(plugins).toMatchObject([
      { type: 'podwire', capabilities: { bandwidth: true } },
      { type: 'portmap', capabilities: { portMappings: true } },
    ])
    expect(plugins[0].capabilities.portMappings).toBeUndefined()
    expect(cni('status').stdout).toContain('current')
  })

  test('writes nothing while the daemon is not there, or not ready', async () => {
    const { cni, confDir, binDir } = await place()
    const { status, stderr } = cni('install')
    expect(stderr).toContain('podwire.sock')
    expect(status).toBe(1)
    expect([existsSync(confDir), readdirSync(binDir)]).toEqual([false, []])
  })

  test.each([
    ['an executable', 'bin/podwire', '#!/bin/sh\n'],
    [
      'a configuration',
      'net.d/10-podwire.conflist',
      '{"name":"podwire","cniVersion":"1.0.0","plugins":[{"type":"x"}]}',
    ],
  ])('leaves %s alone that it did not write', async (_, file, content) => {
    const { cni, startDaemon, dir, confDir } = await place()
    await startDaemon()
    mkdirSync(confDir, { recursive: true })
    const path = join(dir, file)
    writeFileSync(path, content)
    chmodSync(path, 0o755)
    for (const command of ['install', 'uninstall']) {
      const { status, stderr } = cni(command)
      expect(stderr).toContain(path)
      expect(status).toBe(2)
    }
    expect(readFileSync(path, 'utf8')).toBe(content)
  })

  test('says who comes before it, refuses a name that another network has, and a plugin that is not there', async () => {
    const { cni, startDaemon, confDir, conflist } = await place()
    await startDaemon()
    mkdirSync(confDir)
    const other = join(confDir, '05-other.conflist')
    writeFileSync(other, '{"name":"other","cniVersion":"1.0.0","plugins":[{"type":"bridge"}]}')
    writeFileSync(join(confDir, '00-bad.conf'), '{')
    const taken = cni('install', '--name', 'other')
    expect([taken.status, taken.stderr]).toEqual([2, expect.stringContaining(other)])
    const chained = cni('install', '--chain', 'portmap')
    expect([chained.status, chained.stderr]).toEqual([2, expect.stringContaining('portmap')])
    expect(cni('install', '--chain', 'bridge').status).toBe(2)
    expect(cni('install', '--name', '../x').status).toBe(2)
    expect(existsSync(conflist)).toBe(false)
    const { status, stderr } = cni('install')
    expect([status, stderr]).toEqual([0, expect.stringContaining(`${other} comes before it`)])
    const seen = cni('status')
    expect(seen.stdout).toMatch(/00-bad.*\n.*05-other.*other +bridge +no +answers\n.*10-podwire.*yes\n/)
    expect(seen.status).toBe(1)
  })
})
