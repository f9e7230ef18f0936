import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { isIsolated } from '@podwire/testing'
import { expect, test } from 'vitest'

const example = new URL('..', import.meta.url).pathname
const bin = new URL('../node_modules/podwire/bin/podwire.js', import.meta.url).pathname
const unit = readFileSync(`${example}podwire.service`, 'utf8')
const setting = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? ''

// What systemd does: a socket for datagrams, a command, signals. Node has no such socket; Python has.
const receiver = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
while True: print(' '.join(s.recv(4096).decode().split()), flush=True)
`

test.skipIf(!isIsolated())(
  'the service starts, reloads and stops as its unit says',
  async () => {
    const path = '/run/notify'
    const manager = spawn('python3', ['-c', receiver, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    let told = ''
    manager.stdout.on('data', (chunk) => (told += chunk))
    const until = async (text: RegExp) => {
      while (!text.test(told)) await once(manager.stdout, 'data')
    }
    await until(/bound/)

    const [program, ...args] = setting('ExecStart').split(' ')
    expect(program).toBe('podwire')
    const env = {
      ...process.env,
      NOTIFY_SOCKET: path,
      WATCHDOG_USEC: '1000000',
      PODWIRE_CONFIG: `${example}podwire.config.json`,
    }
    expect(setting('Environment')).toBe('PODWIRE_CONFIG=/etc/podwire/podwire.config.json')
    const daemon = spawn(process.execPath, [bin, ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] })
    let log = ''
    daemon.stderr.on('data', (chunk) => (log += chunk))
    try {
      await until(/READY=1 STATUS=network plugin kubenet/)
      await until(/WATCHDOG=1/)
      expect(statSync('/run/podwire/podwire.sock').mode & 0o777).toBe(0o600)
      const podwire = (...words: string[]) =>
        spawnSync(process.execPath, [bin, ...words], { encoding: 'utf8', env })
      expect(podwire('up', 'default/web').stdout).toMatch(/^default\/web {2}10\.88\.0\.\d+/)

      expect(setting('ExecReload')).toBe('kill -HUP $MAINPID')
      daemon.kill('SIGHUP')
      await until(/RELOADING=1 MONOTONIC_USEC=\d+\n(?:.*\n)*READY=1/)

      const exit = once(daemon, 'exit')
      daemon.kill('SIGTERM')
      expect(await exit).toEqual([0, null])
      expect(told).toMatch(/STOPPING=1/)
      // By the records, which the unit has systemd preserve.
      expect(setting('RuntimeDirectoryPreserve')).toBe('yes')
      expect(podwire('status', 'default/web')).toMatchObject({ status: 0 })
      expect(podwire('prune', '--all').status).toBe(0)
    } finally {
      daemon.kill('SIGKILL')
      manager.kill()
    }
    expect(
      log
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line).level),
    ).not.toContain('error')
  },
  120_000,
)
