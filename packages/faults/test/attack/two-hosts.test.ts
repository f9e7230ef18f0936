import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { bin, project } from '../../../cli/test/podwire.ts'
import { datapathNames, describeAttack, run, useHosts, web } from './attacker.ts'

describeAttack('two hosts', () => {
  const open = useHosts()

  test.each(datapathNames)(
    'with two state directories get no bridge, no pod CIDR and no sandbox twice (%s)',
    async (datapath) => {
      const first = await open({ datapath })
      const before = await first.host.setUpPod(web)
      const inTheWay = datapath === 'bridge' ? 'route 10.88.0.0/24 on cbr0' : 'route 10.88.0.2/32 on pw'
      await expect(
        (await open({ datapath, bridge: 'cbr1' }).catch((error: unknown) => error)) as Error,
      ).toMatchObject({ message: expect.stringContaining(`is in use on this host: ${inTheWay}`) })
      if (datapath === 'bridge')
        await expect(
          open({ datapath, podCIDR: '10.89.0.0/24' }).then(({ host }) =>
            host.setUpPod({ ...web, name: 'other' }),
          ),
        ).rejects.toThrow(`bridge cbr0 belongs to the host whose state is in ${first.stateDir}`)
      // The same pod in both: its namespace is the first one's.
      const second = await open({ datapath, bridge: 'cbr1', podCIDR: '10.89.0.0/24' })
      await expect(second.host.setUpPod(web)).rejects.toMatchObject({ code: 'NETNS_EXISTS' })
      await second.host.tearDownPod(web)
      await second.host.collectGarbage()
      await first.host.checkPod(web)
      expect(await first.host.pod(web)).toEqual(before)
    },
  )

  test('of one state directory under two paths are one: they wait for each other', async () => {
    const first = await open()
    const alias = `${first.stateDir}-alias`
    await first.host.setUpPod(web)
    mkdirSync(alias, { mode: 0o700 })
    run('mount', '--bind', first.stateDir, alias)
    try {
      const second = await open({ stateDir: alias })
      const pods = Array.from({ length: 8 }, (_, index) => ({ ...web, name: `web-${index}` }))
      const both = [first.host, second.host]
      const records = await Promise.all(pods.flatMap((pod) => both.map((host) => host.setUpPod(pod))))
      expect(new Set(records.map(({ status }) => status?.ip)).size).toBe(8)
      await Promise.all(pods.flatMap((pod) => both.map((host) => host.tearDownPod(pod))))
      expect((await second.host.pods()).map(({ pod }) => pod.name)).toEqual(['web'])
      await second.host.tearDownPod(web)
    } finally {
      run('umount', alias)
    }
  })

  test('in two network namespaces do not take each other for dead', async () => {
    const { stateDir, host } = await open()
    await host.setUpPod(web)
    const config = { networkPlugin: 'kubenet', podCIDR: '10.88.0.0/24', stateDir }
    const { dir, podwire } = project({ 'podwire.config.json': config })
    expect(podwire('status').status).toBe(0)
    const elsewhere = (...args: string[]) =>
      run('unshare', '--net', 'sh', '-c', `cd ${dir} && ${args.join(' ')} 2>&1; true`)
    for (const command of ['prune', 'down default/web', 'up default/other', 'repair'])
      expect(elsewhere(process.execPath, bin, command), command).toContain('another network namespace')
    await host.checkPod(web)
    expect(await host.pods()).toHaveLength(1)
  }, 60_000)

  test('one of them stopped in the middle of an operation: the other says who holds the pod', async () => {
    const { stateDir, host } = await open()
    const config = {
      networkPlugin: 'kubenet',
      podCIDR: '10.88.0.0/24',
      stateDir,
      deadlines: { setUpPod: '1s' },
    }
    const { podwire } = project({ 'podwire.config.json': config })
    await host.setUpPod(web)
    const script = `
      const { createNetworkHost } = await import('podwire')
      const { createRequire } = await import('node:module')
      const { tryLockFile } = await import('@podwire/netlink/file-lock')
      const { openSync, mkdirSync } = await import('node:fs')
      const { hash } = await import('node:crypto')
      mkdirSync('${stateDir}/locks', { recursive: true })
      const fd = openSync('${stateDir}/locks/' + hash('sha256', 'default/web').slice(0, 32) + '.lock', 'a')
      console.log(tryLockFile(fd))
      setInterval(() => {}, 1e6)`
    const holder = spawn(
      process.execPath,
      [
        '--import',
        new URL('../../../../.dev/run-source.mjs', import.meta.url).href,
        '--input-type=module',
        '-e',
        script,
      ],
      { cwd: new URL('../..', import.meta.url).pathname, stdio: ['ignore', 'pipe', 'inherit'] },
    )
    expect(String((await once(holder.stdout, 'data'))[0])).toBe('true\n')
    const { status, stderr } = podwire('up', 'default/web')
    expect(status).toBe(1)
    expect(stderr).toContain(`process ${holder.pid}`)
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    expect(podwire('up', 'default/web').status).toBe(0)
  }, 60_000)
})
