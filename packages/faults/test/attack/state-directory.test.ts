import { spawn } from 'node:child_process'
import { hash } from 'node:crypto'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { project } from '../../../cli/test/podwire.ts'
import { describeAttack, hasOtherUsers, run, SOMEBODY, useHosts, web } from './attacker.ts'

describeAttack('the state directory', () => {
  const open = useHosts()

  /** A file of root's that nothing here has to do with. */
  function victim() {
    const dir = mkdtempSync('/run/victim-')
    const file = join(dir, 'package.json')
    writeFileSync(file, 'precious')
    return { dir, file, isUntouched: () => readFileSync(file, 'utf8') === 'precious' }
  }

  test('with a record whose sandbox is called like a file elsewhere makes a start neither write nor delete that file', async () => {
    const { stateDir, host, again } = await open()
    const { pod } = await host.setUpPod(web)
    const { dir, isUntouched } = victim()
    const text = readFileSync(join(stateDir, `sandboxes/${pod.sandboxId}.json`), 'utf8')
    const up = '../'.repeat(6)
    for (const [index, id] of [
      `${up}${dir}/package`,
      '../../victim/package',
      `${pod.sandboxId}/../../x`,
    ].entries()) {
      const evil = text.replaceAll(pod.sandboxId, id).replace('"phase":"ready"', '"phase":"setting-up"')
      writeFileSync(join(stateDir, `sandboxes/evil${index}.json`), evil)
      writeFileSync(join(stateDir, `plugins/kubenet/pods/evil${index}.json`), evil)
    }
    const next = await again()
    await next.collectGarbage()
    await next.repair()
    expect(isUntouched()).toBe(true)
    expect((await next.pods()).map((one) => one.pod.name)).toEqual(['web'])
    await next.checkPod(web)
  })

  test('with a record whose namespace is a file elsewhere makes nothing unmount or delete that', async () => {
    const { stateDir, host, again } = await open()
    const { pod } = await host.setUpPod(web)
    const { file, isUntouched } = victim()
    const path = join(stateDir, `sandboxes/${pod.sandboxId}.json`)
    const text = readFileSync(path, 'utf8').replace(pod.netns, file)
    writeFileSync(path, text.replace('"phase":"ready"', '"phase":"tearing-down"'))
    await again()
    expect(isUntouched()).toBe(true)
  })

  test('with symbolic links in it makes nothing write through them', async () => {
    const { dir, file, isUntouched } = victim()
    const { stateDir, host, again } = await open()
    await host.setUpPod(web)
    await host.tearDownPod(web)
    const kubenet = join(stateDir, 'plugins/kubenet')
    const lock = `${hash('sha256', 'default/web').slice(0, 32)}.lock`
    const { pod } = await host.setUpPod(web)
    await host.tearDownPod(web)
    await host.close()
    const places = [
      join(stateDir, 'host.json'),
      join(stateDir, 'sandboxes', `${pod.sandboxId}.json`),
      join(kubenet, 'pods', `${pod.sandboxId}.json`),
      join(kubenet, 'last-ipv4'),
      join(kubenet, 'bridge'),
      join(kubenet, 'id'),
      join(stateDir, 'locks', lock),
    ]
    for (const [index, place] of places.entries()) {
      if (existsSync(place)) renameSync(place, `${place}.before`)
      symlinkSync(file, place)
      // Whether it is refused or the link replaced: the file stays as it is.
      const next = await again().catch(() => undefined)
      await next?.setUpPod(web).catch(() => {})
      await next?.tearDownPod(web).catch(() => {})
      await next?.collectGarbage().catch(() => {})
      expect(isUntouched(), `through ${place}, ${index}`).toBe(true)
      run('rm', '-f', place)
      if (existsSync(`${place}.before`)) renameSync(`${place}.before`, place)
    }
    expect(readdirSync(dir)).toEqual(['package.json'])
    const last = await again()
    await last.tearDownPod(web)
    await last.collectGarbage()
  })

  test.runIf(hasOtherUsers)('lets no other user keep an operation waiting', async () => {
    const { stateDir, host } = await open()
    await host.setUpPod(web)
    const lock = join(stateDir, 'locks', `${hash('sha256', 'default/web').slice(0, 32)}.lock`)
    // By the file of the lock, by its directory, by the state directory, and by names that anybody may take.
    const squat = `
      const { openSync } = require('node:fs'), { createServer } = require('node:net')
      const got = []
      for (const path of ${JSON.stringify([lock, join(stateDir, 'locks'), stateDir])})
        try { openSync(path, 'r'); got.push(path) } catch {}
      for (const name of ['podwire/default/web', ${JSON.stringify(`${stateDir}/default/web`)}])
        createServer().listen('\\0' + name)
      console.log(JSON.stringify(got))
      setTimeout(() => {}, 1e6)`
    const args = [
      `--reuid=${SOMEBODY}`,
      `--regid=${SOMEBODY}`,
      '--clear-groups',
      process.execPath,
      '-e',
      squat,
    ]
    const squatter = spawn('setpriv', args, { cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] })
    const [said] = await once(squatter.stdout, 'data')
    expect(JSON.parse(String(said))).toEqual([])
    await host.tearDownPod(web)
    squatter.kill()
  })

  test('whose records hold control characters says nothing of them to a terminal', async () => {
    const { dir, podwire } = project({
      'podwire.config.json': { networkPlugin: 'kubenet', podCIDR: '10.88.0.0/24', stateDir: './state' },
    })
    mkdirSync(join(dir, 'state/sandboxes'), { recursive: true })
    run('chmod', '-R', 'go-rwx', join(dir, 'state'))
    const record = {
      version: 1,
      pod: {
        namespace: 'default',
        name: 'web',
        sandboxId: 'x1',
        netns: '/run/netns/x1',
        annotations: {},
        portMappings: [],
      },
      ownsNetns: true,
      plugin: 'kubenet',
      pluginStart: {
        name: 'kubenet',
        packageDir: '/',
        podCIDR: '',
        hairpinMode: 'none',
        nonMasqueradeCIDR: '',
        mtu: 0,
      },
      phase: 'tearing-down',
      problem: 'stuck \u001b]0;evil\u0007\u001b[2J\u009b31m',
      createdAt: '\u001b[31mnow',
    }
    writeFileSync(join(dir, 'state/sandboxes/x1.json'), JSON.stringify(record))
    writeFileSync(join(dir, 'state/sandboxes/x2.json'), '{"\u001b[31m')
    for (const command of ['status', 'ps', 'prune']) {
      const { stdout, stderr } = podwire(command)
      expect(`${stdout}${stderr}`, command).toMatch(/web|x1/)
      expect(`${stdout}${stderr}`, command).not.toMatch(/[\u001b\u009b\u0007]/)
    }
  })
})
