import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { afterThis, startTestDaemon, until } from './daemon.ts'

// Node has no socket for datagrams of this kind; Python has.
const receiver = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace('@', chr(0)))
print('bound', flush=True)
while True: print(repr(s.recv(4096).decode()), flush=True)
`

async function serviceManager(path: string) {
  const python = spawn('python3', ['-c', receiver, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  afterThis(() => python.kill())
  let text = ''
  python.stdout.on('data', (chunk) => (text += chunk))
  await once(python.stdout, 'data')
  return () => text
}

const dir = mkdtempSync(join(tmpdir(), 'podwire-notify-'))

describe.skipIf(!isIsolated())('a daemon under a service manager', () => {
  test.each([join(dir, 'notify'), `@podwire-test-${process.pid}`])(
    'says how it goes, to %s',
    async (path) => {
      afterThis(() => rmSync(dir, { recursive: true, force: true }))
      const told = await serviceManager(path)
      const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '40000' }
      const { daemon } = await startTestDaemon('', {}, { env })
      await until(() => /READY=1[\s\S]*WATCHDOG=1/.test(told()))
      expect(told()).toMatch(/READY=1\\nSTATUS=network plugin odd/)
      expect(env).toEqual({})
      await daemon.reload()
      await until(() => /RELOADING=1\\nMONOTONIC_USEC=\d+'\n[\s\S]*READY=1/.test(told()))
      await daemon.stop()
      await until(() => told().includes('STOPPING=1'))
    },
  )

  test('goes on where the manager is gone', async () => {
    const { ask, log } = await startTestDaemon('', {}, { env: { NOTIFY_SOCKET: '/nowhere' } })
    expect((await ask('GET', '/healthz')).status).toBe(200)
    expect(log.entries.some(({ message }) => message.includes("service manager can't be told"))).toBe(true)
  })
})
