import { spawnSync } from 'node:child_process'
import { isIsolated } from '@podwire/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PackedProject, packedProject } from '../../../.dev/packed-project.ts'

const config = { networkPlugin: 'example/ptp', podCIDR: '10.88.0.0/16,fd00:88::/64', stateDir: './state' }

describe.skipIf(!isIsolated())('example/ptp, from its tarball', () => {
  let project: PackedProject
  beforeAll(() => {
    project = packedProject(config)
  }, 1_200_000)
  afterAll(() => project?.remove())

  const up = (pod: string) => JSON.parse(project.podwire('up', pod, '--json').stdout).status.ips
  const linkCount = () =>
    spawnSync('ip', ['-o', 'link', 'show', 'type', 'veth'], { encoding: 'utf8' }).stdout.split('\n').length -
    1

  test('gives pods an address of each family, by which they reach each other', () => {
    expect(up('default/a')).toEqual(['10.88.0.1', 'fd00:88::1'])
    expect(up('default/b')).toEqual(['10.88.0.2', 'fd00:88::2'])
    const serve =
      "require('net').createServer((s) => s.end(s.remoteAddress)).listen(80, '::').unref(); setTimeout(() => {}, 20000)"
    const server = spawnSync(
      'sh',
      [
        '-c',
        `podwire() { ${process.execPath} ${project.dir}/node_modules/podwire/bin/podwire.js "$@"; }
cd ${project.dir}
podwire exec default/b -- ${process.execPath} -e "${serve}" &
for address in 10.88.0.2 fd00:88::2; do
  podwire exec default/a -- ${process.execPath} -e "
    const try_ = (n) => require('net').connect(80, '$address').on('error', (e) => n ? setTimeout(try_, 200, n - 1) : console.log(e.message)).pipe(process.stdout)
    try_(50)"
  echo
done
kill $!`,
      ],
      { encoding: 'utf8' },
    )
    expect(server.stdout).toBe('::ffff:10.88.0.1\nfd00:88::1\n')
  }, 60_000)

  test('leaves alone what is right, mends what is not, and says what differs', () => {
    expect(up('default/a')).toEqual(['10.88.0.1', 'fd00:88::1'])
    expect(project.podwire('check', 'default/a')).toMatchObject({ status: 0 })
    project.podwire('exec', 'default/a', '--', 'ip', 'route', 'delete', 'default')
    const checked = project.podwire('check', 'default/a')
    expect(checked).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('it has lost a default route'),
    })
    expect(up('default/a')).toEqual(['10.88.0.1', 'fd00:88::1'])
    expect(project.podwire('check', 'default/a')).toMatchObject({ status: 0 })
  }, 60_000)

  test('leaves nothing', () => {
    expect(linkCount()).toBe(2)
    expect(project.podwire('down', '--all')).toMatchObject({ status: 0 })
    expect(project.podwire('down', 'default/a')).toMatchObject({ status: 0 })
    expect(linkCount()).toBe(0)
  }, 60_000)
})
