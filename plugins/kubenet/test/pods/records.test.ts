import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openClaims } from '../../src/ipam/claims.ts'
import { openFormerAddresses } from '../../src/ipam/former-addresses.ts'
import { isNetnsOf, type PodRecord } from '../../src/pod-record.ts'
import { openRecords } from '../../src/pods/records.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'records-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const record = (sandboxId: string): PodRecord => ({
  namespace: 'default',
  name: 'web',
  sandboxId,
  netns: { path: '/run/netns/web', dev: 4, ino: 17 },
  datapath: 'routed',
  interfaceName: 'eth0',
  mtu: 1500,
  addresses: [{ address: '10.88.0.2', prefixLength: 16, gateway: '10.88.0.1' }],
  ports: [],
  annotations: {},
  bandwidth: { ingress: 1e6 },
})

describe('records', () => {
  it('are found by the names of their pods, those of other processes a little later, and not while they go', async () => {
    const [own, other] = [openRecords(dir), openRecords(dir)]
    const named = (name: string) => own.named('default', name)?.sandboxId
    expect(named('web')).toBeUndefined()
    own.write(record('a'))
    expect(named('web')).toBe('a')
    other.write({ ...record('b'), name: 'db' })
    await expect.poll(() => named('db')).toBe('b')
    expect(own.named('other', 'db')).toBeUndefined()
    // The same sandbox is another pod's.
    other.remove('a')
    expect(named('web')).toBeUndefined()
    other.write({ ...record('a'), name: 'cache' })
    expect(named('web')).toBeUndefined()
    await expect.poll(() => named('cache')).toBe('a')
    other.markLeaving('a')
    expect(named('cache')).toBeUndefined()
  })

  it('are not all read each time that somebody asks for a name, however many change', () => {
    const records = openRecords(dir)
    for (let pod = 0; pod < 500; pod++) records.write({ ...record(`s${pod}`), name: `pod${pod}` })
    const started = performance.now()
    for (let asked = 0; asked < 2_000; asked++) {
      records.named('default', `none${asked}`)
      if (asked % 10 === 0) writeFileSync(join(dir, 'pods', '.changed'), '')
      if (asked % 10 === 5) rmSync(join(dir, 'pods', '.changed'))
    }
    // To read all of them 2,000 times takes half a minute.
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it('come back as they were written, whatever the sandbox is called', async () => {
    const records = openRecords(dir)
    for (const id of ['a1', 'default-web-0', 'A.b_c', 'x..y']) {
      records.write(record(id))
      expect(records.read(id)).toEqual(record(id))
    }
    expect(records.ids().sort()).toEqual(['A.b_c', 'a1', 'default-web-0', 'x..y'].sort())
    expect(await records.readAll()).toHaveLength(4)
    records.remove('a1')
    records.remove('a1')
    expect(records.read('a1')).toBeUndefined()
  })

  it('say by their name alone that a pod is being torn down, until they are removed', () => {
    const records = openRecords(dir)
    for (const id of ['a', 'a.leaving']) records.write(record(id))
    records.markLeaving('a')
    expect(openRecords(dir).read('a')).toEqual({ ...record('a'), leaving: true })
    expect(records.read('a.leaving')).toEqual(record('a.leaving'))
    expect(records.ids().sort()).toEqual(['a', 'a.leaving'])
    records.remove('a')
    expect(records.list()).toEqual([record('a.leaving')])
  })

  it('go back to what was settled before a change by removing a file, and keep both while a pod leaves', () => {
    const records = openRecords(dir)
    const files = () => readdirSync(join(dir, 'pods')).sort()
    const changing = {
      ...record('a'),
      changing: {
        ports: [{ hostPort: 80, containerPort: 80, protocol: 'tcp' as const }],
        bandwidth: {},
        annotations: {},
      },
    }
    records.write(record('a'))
    const { ino } = statSync(join(dir, 'pods/a.json'))
    records.write(changing)
    expect(files()).toEqual(['a.changing', 'a.json'])
    expect(records.list()).toEqual([changing])
    records.write(record('a'))
    expect(files()).toEqual(['a.json'])
    // Nothing was written.
    expect(statSync(join(dir, 'pods/a.json')).ino).toBe(ino)

    records.write(changing)
    records.markLeaving('a')
    expect(files()).toEqual(['a.leaving'])
    expect(records.read('a')).toEqual({ ...changing, leaving: true })
    records.remove('a')

    // There was no room for more than another name.
    const settled = { ...record('a'), ...changing.changing }
    records.write(record('a'))
    records.write(changing)
    records.settle('a')
    expect(files()).toEqual(['a.json'])
    expect(records.list()).toEqual([settled])
    const again = { ...settled, changing: { ...settled, ports: [] } }
    records.write(again)
    records.write(settled)
    expect(records.read('a')).toEqual(settled)
    records.remove('a')

    // A new pod's ports are under way from its first record on.
    records.write(changing)
    records.write({ ...record('a'), ports: changing.changing.ports })
    expect(records.read('a')).toEqual({ ...record('a'), ports: changing.changing.ports })
    expect(files()).toEqual(['a.json'])
  })

  it('of claims give an address to one sandbox, of however many processes', () => {
    const [here, there] = [
      openClaims(dir, openFormerAddresses(dir)),
      openClaims(dir, openFormerAddresses(dir)),
    ]
    expect(here.claim('10.88.0.2', 'a')).toBe(true)
    expect(here.claim('10.88.0.2', 'a')).toBe(true)
    expect(there.claim('10.88.0.2', 'b')).toBe(false)
    expect(there.ownerOf('10.88.0.2')).toBe('a')
    there.release('10.88.0.2', 'b')
    expect(there.claimed()).toEqual(['10.88.0.2'])
    here.release('10.88.0.2', 'a')
    expect(there.claim('10.88.0.2', 'b')).toBe(true)
    expect(here.lastClaimed(4)).toBe('10.88.0.2')
    expect(here.lastClaimed(6)).toBeUndefined()
  })

  it("that can't be read are told of and left out", async () => {
    const records = openRecords(dir)
    records.write(record('good'))
    writeFileSync(join(dir, 'pods', 'torn.json'), '{"sandboxId": "to')
    writeFileSync(join(dir, 'pods', 'strange.json'), '{"sandboxId": 1}')
    const unreadable: Error[] = []
    expect(await records.readAll((error) => unreadable.push(error))).toEqual([record('good')])
    expect(unreadable.map(({ message }) => message).sort()).toEqual([
      expect.stringMatching(/strange\.json can't be read: its sandboxId is missing/),
      expect.stringMatching(/torn\.json can't be read/),
    ])
    expect(() => records.read('torn')).toThrow(expect.objectContaining({ code: 'RECORD_UNREADABLE' }))
  })

  it('leave no half-written file of a process that is gone', () => {
    const records = openRecords(dir)
    records.write(record('a'))
    const own = `.${process.pid}.0123abcd.tmp`
    for (const where of [dir, join(dir, 'pods')])
      for (const name of ['.4194304.0123abcd.tmp', own]) writeFileSync(join(where, name), '{')
    records.sweep()
    expect(readdirSync(join(dir, 'pods')).sort()).toEqual([own, 'a.json'])
    expect(readdirSync(dir).sort()).toEqual([own, 'pods'])
  })

  it.each<[string, object]>([
    ['sandboxId', { sandboxId: '../../victim/package' }],
    ['sandboxId', { sandboxId: 'other' }],
    ['namespace', { namespace: 7 }],
    ['netns.path', { netns: { path: 'relative', dev: 4, ino: 17 } }],
    ['netns.ino', { netns: { path: '/run/netns/a', dev: 4, ino: '17' } }],
    ['interfaceName', { interfaceName: '../lo' }],
    ['mtu', { mtu: 1e9 }],
    ['addresses', { addresses: [] }],
    ['addresses.address', { addresses: [{ address: 'x/../../y', prefixLength: 16, gateway: '10.88.0.1' }] }],
    [
      'addresses.prefixLength',
      { addresses: [{ address: '10.88.0.2', prefixLength: 64, gateway: '10.88.0.1' }] },
    ],
    ['addresses.gateway', { addresses: [{ address: '10.88.0.2', prefixLength: 16, gateway: 'fd88::1' }] }],
    ['ports.hostPort', { ports: [{ hostPort: 65_536, containerPort: 80, protocol: 'tcp' }] }],
    ['ports.containerPort', { ports: [{ hostPort: 80, containerPort: 0.5, protocol: 'tcp' }] }],
    ['ports.protocol', { ports: [{ hostPort: 80, containerPort: 80, protocol: 'icmp' }] }],
    ['ports.hostIP', { ports: [{ hostPort: 80, containerPort: 80, protocol: 'tcp', hostIP: 'all' }] }],
    ['bandwidth.ingress', { bandwidth: { ingress: -1 } }],
    ['bandwidth', { bandwidth: [] }],
    ['ports', { changing: { bandwidth: {} } }],
  ])('with a wrong %s are refused: %j', (field, change) => {
    const records = openRecords(dir)
    records.write(record('a'))
    writeFileSync(join(dir, 'pods', 'a.json'), JSON.stringify({ ...record('a'), ...change }))
    expect(() => records.read('a')).toThrow(
      expect.objectContaining({
        code: 'RECORD_UNREADABLE',
        message: expect.stringContaining(`its ${field} is missing or is not what it should be`),
      }),
    )
    expect(records.list()).toEqual([])
  })

  it.each(['..', '../../victim', 'a/b', '', 'a\0b', 'x'.repeat(129)])(
    'are of sandboxes: "%s" is not the id of one',
    (id) => {
      const records = openRecords(dir)
      expect(() => records.read(id)).toThrow(expect.objectContaining({ code: 'INVALID_SANDBOX_ID' }))
      expect(() => records.write(record(id))).toThrow(expect.objectContaining({ code: 'INVALID_SANDBOX_ID' }))
      expect(() => records.remove(id)).toThrow(expect.objectContaining({ code: 'INVALID_SANDBOX_ID' }))
    },
  )

  it("follow no link to a file that is somebody else's", () => {
    const records = openRecords(dir)
    const victim = join(dir, 'victim')
    writeFileSync(victim, JSON.stringify(record('a')))
    records.write(record('b'))
    symlinkSync(victim, join(dir, 'pods', 'a.json'))
    expect(() => records.read('a')).toThrow(expect.objectContaining({ code: 'RECORD_UNREADABLE' }))
    records.write({ ...record('a'), name: 'other' })
    expect(JSON.parse(readFileSync(victim, 'utf8')).name).toBe('web')
    expect(records.read('a')?.name).toBe('other')
  })
})

describe('the namespace of a record', () => {
  it('is gone where there is nothing, or something else, at its path', () => {
    writeFileSync(join(dir, 'file'), '')
    for (const path of [join(dir, 'none'), join(dir, 'file'), join(dir, 'file/none')])
      expect(isNetnsOf({ netns: { path, dev: 4, ino: 17 } })).toBe(false)
  })

  it('is not said to be gone where nobody could look', () => {
    const path = `/run/netns/${'x'.repeat(300)}`
    expect(() => isNetnsOf({ netns: { path, dev: 4, ino: 17 } })).toThrow('ENAMETOOLONG')
  })
})
