import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { isIsolated } from '@podwire/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { nameServersFor } from '../src/name-servers.ts'
import { project, withPlugin } from './podwire.ts'

const sh = (script: string) => spawnSync('sh', ['-c', script]).status
const files = (contents: Record<string, string>) => (file: string) => contents[file] ?? ''
const stub = 'nameserver 127.0.0.53\noptions edns0\nsearch lan\n'

test.each<[string, string[], Record<string, string>, object]>([
  [
    'a server that pods reach stays',
    [],
    { '/etc/resolv.conf': 'nameserver 192.0.2.1\n' },
    { kind: 'host', servers: ['192.0.2.1'] },
  ],
  [
    "the stub's upstreams take its place",
    [],
    {
      '/etc/resolv.conf': stub,
      '/run/systemd/resolve/resolv.conf': 'nameserver 192.0.2.1\nnameserver ::1\n',
    },
    { kind: 'own', text: 'nameserver 192.0.2.1\noptions edns0\nsearch lan\n' },
  ],
  [
    'a loopback server among others goes',
    [],
    { '/etc/resolv.conf': 'nameserver 127.0.0.1\nnameserver 192.0.2.2\n' },
    { kind: 'own', servers: ['192.0.2.2'] },
  ],
  ['no other is known', [], { '/etc/resolv.conf': stub }, { kind: 'none' }],
  ['no resolv.conf means the loopback', [], {}, { kind: 'none', servers: [] }],
  [
    'those given win',
    ['192.0.2.9'],
    { '/etc/resolv.conf': stub },
    { kind: 'own', text: 'nameserver 192.0.2.9\noptions edns0\nsearch lan\n' },
  ],
])('%s', (_name, dns, contents, expected) => {
  expect(nameServersFor(dns, files(contents))).toMatchObject(expected)
})

describe.skipIf(!isIsolated())('where the host asks a stub on its loopback', () => {
  const undo: string[] = []
  afterEach(() => {
    for (const path of undo.splice(0)) sh(`umount ${path}`)
  })
  function stubProject(upstream?: string) {
    const made = project({ ...withPlugin(''), 'stub.conf': stub })
    expect(sh(`mount --bind ${made.dir}/stub.conf /etc/resolv.conf`)).toBe(0)
    undo.push('/etc/resolv.conf')
    mkdirSync('/run/systemd/resolve', { recursive: true })
    writeFileSync('/run/systemd/resolve/resolv.conf', upstream ?? '')
    return made
  }

  test('run and exec give programs its upstreams, and leave the host its own', () => {
    const { podwire } = stubProject('nameserver 192.0.2.53\n')
    const expected = 'nameserver 192.0.2.53\noptions edns0\nsearch lan\n'
    expect(podwire('run', '--', 'cat', '/etc/resolv.conf')).toMatchObject({
      status: 0,
      stdout: expected,
      stderr: '',
    })
    podwire('up', 'default/web')
    expect(podwire('exec', 'default/web', '--', 'cat', '/etc/resolv.conf').stdout).toBe(expected)
    expect(
      podwire('exec', '--dns', '192.0.2.1', 'default/web', '--', 'cat', '/etc/resolv.conf').stdout,
    ).toContain('nameserver 192.0.2.1\n')
    podwire('down', 'default/web')
    expect(podwire('run', '--', 'sh', '-c', 'echo mine > /etc/resolv.conf; exit 4').status).toBe(4)
    expect(podwire('run', '--', 'no-such-command').status).toBe(127)
    expect(readFileSync('/etc/resolv.conf', 'utf8')).toBe(stub)
    expect(podwire('doctor').stdout).toMatch(/name servers +ok .*give programs 192\.0\.2\.53/)
  }, 240_000)

  test('where none is known, a run says so, and doctor too', () => {
    const { podwire } = stubProject()
    expect(podwire('run', '--', 'true')).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('--dns'),
    })
    expect(podwire('doctor').stdout).toMatch(/name servers +missing .*127\.0\.0\.53.*--dns/)
  })
})
