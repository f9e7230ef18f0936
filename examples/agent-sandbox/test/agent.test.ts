import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createNetns, namedNetns, removeNetns, withNetns } from '@podwire/netlink'
import { isIsolated } from '@podwire/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const example = new URL('..', import.meta.url).pathname
const [, commands = ''] = /```sh\n(.*?)```/s.exec(readFileSync(`${example}README.md`, 'utf8')) ?? []
const { scripts } = JSON.parse(readFileSync(`${example}package.json`, 'utf8'))
const [, ...start] = scripts.start.split(' ')
const run = (file: string, ...args: string[]) => execFileSync(file, args, { encoding: 'utf8' })

describe.skipIf(!isIsolated())('the sandbox of an agent', () => {
  const internet = namedNetns('internet')
  const resolvConf = `/run/resolv-${process.pid}.conf`
  let servers: ChildProcess

  // An internet with a name server and a registry, which the host's resolv.conf and default route lead to.
  beforeAll(async () => {
    createNetns(internet)
    const inside = (...args: string[]) => run('nsenter', `--net=${internet}`, 'ip', ...args)
    run('ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', internet)
    run('ip', 'addr', 'add', '192.0.2.1/24', 'dev', 'up0')
    run('ip', 'link', 'set', 'up0', 'up')
    for (const address of ['192.0.2.2/24', '104.16.1.34/32', '169.254.169.254/32'])
      inside('addr', 'add', address, 'dev', 'eth0')
    inside('link', 'set', 'eth0', 'up')
    run('ip', 'route', 'add', 'default', 'via', '192.0.2.2')
    writeFileSync(resolvConf, 'nameserver 192.0.2.2\n')
    run('mount', '--bind', resolvConf, '/etc/resolv.conf')
    servers = withNetns(internet, () => fork(new URL('internet.mjs', import.meta.url), { execArgv: [] }))
    await once(servers, 'message')
  })
  afterAll(() => {
    servers.kill()
    run('umount', '/etc/resolv.conf')
    run('ip', 'link', 'del', 'up0')
    removeNetns(internet)
    rmSync(resolvConf, { force: true })
  })

  const expectNothingLeft = () => {
    expect(readdirSync('/run/netns')).toEqual(['internet'])
    expect(readdirSync('/run/podwire/sandboxes')).toEqual([])
  }

  test('does what its README says, by the commands there', () => {
    const output = execFileSync('sh', ['-ec', commands], { cwd: example, encoding: 'utf8' })
    expect(output).toContain('may reach registry.npmjs.org:443')
    expect(output).toContain('-> tcp registry.npmjs.org:443\n')
    expect(output).toContain('stranger: reached registry.npmjs.org')
    expect(output.match(/stranger: did not reach/g)).toHaveLength(3)
    expect(output).toContain('x  dns paste.example.com:53 (default)')
    expect(output).toMatch(/reached +tcp +registry.npmjs.org:443 +1 time +\d\d+ bytes sent, \d\d+ received/)
    expect(output).toMatch(/denied +tcp +169.254.169.254:80/)
    expect(output).toMatch(/denied +tcp +10.91.0.1:22/)
    const report = JSON.parse(output.trimEnd().split('\n').at(-1) ?? '')
    expect(report).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ what: 'reached', protocol: 'tcp', to: 'registry.npmjs.org:443', times: 1 }),
        expect.objectContaining({ what: 'denied', protocol: 'dns', to: 'paste.example.com:53' }),
      ]),
    )
    expectNothingLeft()
  }, 60_000)

  test('says where an allowed name leads that leads where it must not', async () => {
    const [, output] = await said('--allow', 'db.example.com', '--', 'getent', 'ahostsv4', 'db.example.com')
    expect(output).toContain(
      'x  dns db.example.com, which leads to 10.1.2.3, not a public address (address)\n',
    )
    expectNothingLeft()
  }, 60_000)

  test('stops what takes too long or is interrupted, and leaves nothing', async () => {
    const late = spawn(process.execPath, [...start, '--seconds', '1', '--', 'sleep', '60'], { cwd: example })
    let said = ''
    late.stdout.on('data', (chunk) => (said += chunk))
    expect(await once(late, 'close')).toEqual([124, null])
    expect(said).toContain('not done in 1 s')
    const stopped = spawn(process.execPath, [...start, '--', 'sleep', '60'], { cwd: example })
    await once(stopped.stdout, 'data')
    stopped.kill('SIGINT')
    expect(await once(stopped, 'close')).toEqual([130, null])
    expectNothingLeft()
  }, 60_000)
})

async function said(...args: string[]): Promise<[number | null, string]> {
  const child = spawn(process.execPath, [...start, ...args], { cwd: example })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const [code] = await once(child, 'close')
  return [code, output]
}

test('tells how it is used when it is asked, and when it is asked for what it does not know', async () => {
  const usage = expect.stringContaining('usage: npm start -- ')
  expect(await said('--help')).toEqual([0, usage])
  expect(await said()).toEqual([2, usage])
  expect(await said('--alow', 'a.example', '--', 'true')).toEqual([
    2,
    expect.stringMatching(/^Unknown option '--alow'.*\nusage/s),
  ])
})
