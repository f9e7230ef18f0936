import { execFileSync, spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { createNetns, isNetns, listNetns, namedNetns, netnsId, removeNetns, withNetns } from '../src/index.ts'
import { describeIsolated, openFiles, ownList, ownName, ownNetns, removeOwn, running } from './sandbox.ts'

const here = () => readlinkSync('/proc/thread-self/ns/net')
const inside = (path: string) => `net:[${netnsId(path).ino}]`
const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' })

describe('namedNetns', () => {
  it.each(['', '.', '..', 'a/b', 'a\0b', 'x'.repeat(256)])('refuses %j', (name) => {
    expect(() => namedNetns(name)).toThrow(expect.objectContaining({ code: 'ERR_NETNS_NAME' }))
  })
  it('is where ip netns looks', () => expect(namedNetns('blue')).toBe('/run/netns/blue'))
})

describeIsolated('network namespaces', () => {
  const path = ownNetns('blue')
  afterEach(() => {
    removeOwn()
  })

  it('are made with lo up, found, entered, and removed', () => {
    createNetns(path)
    expect(isNetns(path)).toBe(true)
    expect(ownList()).toEqual([{ name: ownName('blue'), path }])
    expect(withNetns(path, here)).toBe(inside(path))
    const [lo] = JSON.parse(withNetns(path, () => ip('-j', 'address')))
    expect(lo.flags).toContain('UP')
    expect(lo.addr_info.map((address: { local: string }) => address.local)).toEqual(['127.0.0.1', '::1'])
    removeNetns(path)
    expect(existsSync(path)).toBe(false)
    expect(ownList()).toEqual([])
  })

  it('are those of ip netns, both ways', () => {
    createNetns(path)
    ip('netns', 'add', ownName('green'))
    expect(ip('netns', 'list').split(/\s+/)).toEqual(
      expect.arrayContaining([ownName('blue'), ownName('green')]),
    )
    expect(ownList().map(({ name }) => name)).toEqual([ownName('blue'), ownName('green')])
    expect(ip('netns', 'exec', ownName('blue'), 'readlink', '/proc/self/ns/net').trim()).toBe(inside(path))
    removeNetns(ownNetns('green'))
    ip('netns', 'del', ownName('blue'))
    expect(existsSync(path)).toBe(false)
    expect(existsSync(ownNetns('green'))).toBe(false)
  })

  it('are gone everywhere when removed from another mount namespace', async () => {
    createNetns(path)
    const other = spawn('unshare', [
      '--mount',
      '--propagation',
      'unchanged',
      'sh',
      '-c',
      'echo; read x; ls /run/netns',
    ])
    other.stdout.once('data', () => {
      removeNetns(path)
      createNetns(ownNetns('green'))
      other.stdin.end('\n')
    })
    const seen = (await text(other.stdout)).split('\n')
    expect(seen).toContain(ownName('green'))
    expect(seen).not.toContain(ownName('blue'))
  })

  it('can live in any directory, made on the way', () => {
    createNetns('/run/deep/er/pod')
    expect(listNetns('/run/deep/er')).toEqual([{ name: 'pod', path: '/run/deep/er/pod' }])
    removeNetns('/run/deep/er/pod')
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain('/run/deep')
  })

  it('are refused where one is already, which stays', () => {
    createNetns(path)
    const before = netnsId(path)
    expect(() => createNetns(path)).toThrow(
      expect.objectContaining({ code: 'EEXIST', message: expect.stringContaining(path) }),
    )
    expect(netnsId(path)).toEqual(before)
  })

  it('leave no file where the mount is refused', () => {
    // procfs takes no new files, tmpfs does; unprivileged unshare fails with EPERM in between.
    const script = `
      const { createNetns } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url).pathname)})
      try { createNetns('/run/plain/x') } catch (error) { console.log(error.code, error.message) }`
    mkdirSync('/run/plain', { mode: 0o777 })
    execFileSync('chmod', ['777', '/run/plain'])
    const { stdout } = spawnSync(
      'setpriv',
      ['--bounding-set=-sys_admin', process.execPath, ...running(script)],
      { encoding: 'utf8' },
    )
    expect(stdout).toMatch(/^EPERM create network namespace \/run\/plain\/x: .*CAP_SYS_ADMIN/)
    expect(readdirSync('/run/plain')).toEqual([])
  })

  it('are removed twice as well as once, and nothing else ever is', () => {
    createNetns(path)
    removeNetns(path)
    removeNetns(path)
    writeFileSync('/run/precious', 'text')
    expect(() => removeNetns('/run/precious')).toThrow(expect.objectContaining({ code: 'ERR_NOT_NETNS' }))
    expect(existsSync('/run/precious')).toBe(true)
    expect(() => removeNetns('/run')).toThrow(expect.objectContaining({ code: 'ERR_NOT_NETNS' }))
    // What a creation leaves that was killed between file and mount.
    writeFileSync(ownNetns('half'), '')
    removeNetns(ownNetns('half'))
    expect(existsSync(ownNetns('half'))).toBe(false)
  })

  it('are told from everything else', () => {
    expect(isNetns('/proc/self/ns/net')).toBe(true)
    for (const other of ['/proc/self/ns/mnt', '/run', '/dev/null', '/run/missing', '/etc/passwd/x'])
      expect(isNetns(other), other).toBe(false)
    expect(listNetns('/run/missing')).toEqual([])
    expect(netnsId('/proc/self/ns/net')).toEqual(netnsId(`/proc/${process.pid}/ns/net`))
    expect(() => netnsId('/proc/self/ns/mnt')).toThrow(expect.objectContaining({ code: 'ERR_NOT_NETNS' }))
  })

  describe('withNetns', () => {
    it('comes back after a throw, and from inside another', () => {
      const home = here()
      createNetns(path)
      createNetns(ownNetns('green'))
      const seen = withNetns(path, () => [withNetns(ownNetns('green'), here), here()])
      expect(seen).toEqual([inside(ownNetns('green')), inside(path)])
      expect(() =>
        withNetns(path, () => {
          throw new Error('mine')
        }),
      ).toThrow('mine')
      expect(here()).toBe(home)
    })

    it('refuses a promise, and comes back', () => {
      const home = here()
      createNetns(path)
      expect(() => withNetns(path, async () => {})).toThrow(
        expect.objectContaining({ code: 'ERR_NETNS_ASYNC' }),
      )
      expect(() => withNetns(path, () => Promise.reject(new Error('unheard')))).toThrow(
        /await the rest outside/,
      )
      expect(here()).toBe(home)
    })

    it.each([
      ['/run/netns/missing', 'ENOENT'],
      ['/etc/passwd', 'ERR_NOT_NETNS'],
      ['/proc/self/ns/uts', 'ERR_NOT_NETNS'],
    ])('says what is wrong with %s', (wrong, code) => {
      expect(() => withNetns(wrong, here)).toThrow(
        expect.objectContaining({ code, message: expect.stringContaining(wrong) }),
      )
    })

    it('gives birth to processes and sockets inside', async () => {
      createNetns(path)
      const child = withNetns(path, () => spawn('readlink', ['/proc/self/ns/net']))
      expect((await text(child.stdout)).trim()).toBe(inside(path))
      const server = withNetns(path, () => createServer().listen(7))
      await new Promise((done) => server.once('listening', done))
      expect(withNetns(path, () => execFileSync('ss', ['-Hltn'], { encoding: 'utf8' }))).toContain('*:7 ')
      server.close()
    })

    it('leaves the threads of the process where they are, even when it comes first', () => {
      createNetns(path)
      const script = `
        import { readdirSync, readlinkSync, readFile } from 'node:fs'
        const { withNetns } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url).pathname)})
        withNetns('${path}', () => readFile('/dev/null', () => {}))
        const of = (id) => readlinkSync('/proc/self/task/' + id + '/ns/net')
        console.log(JSON.stringify([...new Set(readdirSync('/proc/self/task').map(of))]))`
      const { stdout } = spawnSync(process.execPath, [...running(script)], {
        encoding: 'utf8',
      })
      expect(JSON.parse(stdout)).toEqual([here()])
    })

    it('aborts the process when there is no way back', () => {
      createNetns(path)
      const script = `
        import { createRequire } from 'node:module'
        const { withNetns } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url).pathname)})
        const koffi = createRequire(${JSON.stringify(import.meta.url)})('koffi')
        const capset = koffi.load(null).func('int capset(void *, void *)')
        const header = new Uint32Array([0x20080522, 0])
        try { withNetns('${path}', () => capset(header, new Uint32Array(6))) } catch {}
        console.log('went on')`
      const { signal, stdout, stderr } = spawnSync(process.execPath, [...running(script)], {
        encoding: 'utf8',
      })
      expect({ signal, stdout }).toEqual({ signal: 'SIGABRT', stdout: '' })
      expect(stderr).toContain('setns back to the own network namespace failed')
    })
  })

  it('keep no descriptor open, whatever happens', () => {
    createNetns(path)
    const before = openFiles()
    const attempts = [
      () => createNetns(path),
      () => createNetns(ownNetns('green')),
      () => removeNetns(ownNetns('green')),
      () => withNetns(path, () => statSync('/')),
      () => withNetns('/proc/self/ns/mnt', here),
      () => listNetns(),
      () => netnsId('/etc/passwd'),
    ]
    for (const attempt of attempts)
      try {
        attempt()
      } catch {}
    expect(openFiles()).toBe(before)
  })

  it('work for root of a user namespace', () => {
    const script = `
      const { createNetns, withNetns, listNetns, removeNetns } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url).pathname)})
      createNetns('/run/netns/pod')
      console.log(withNetns('/run/netns/pod', () => 'inside'), listNetns().length)
      removeNetns('/run/netns/pod')
      console.log(listNetns().length)`
    const { stdout, stderr } = spawnSync(
      'unshare',
      [
        '-rnm',
        'sh',
        '-c',
        'mount -t tmpfs tmpfs /run && exec "$@"',
        'sh',
        process.execPath,
        ...running(script),
      ],
      { encoding: 'utf8' },
    )
    expect(stdout, stderr).toBe('inside 1\n0\n')
  })
})
