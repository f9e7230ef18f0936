import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isIsolated } from '@podwire/testing'
import { expect, test } from 'vitest'
import { JOURNAL_ENTRY } from '../src/index.ts'
import { type Call, configuration, describeShims, environment, hasOtherUsers, SOMEBODY } from './shims.ts'

// A DEL that the daemon can't be told is kept, or fails.

const errorOf = ({ stdout }: Call) => JSON.parse(stdout) as { code: number; msg: string }

/** What is sent of it, in the order of its bytes. */
function bodyOf(env: Readonly<Record<string, string>>, stdin = configuration): Buffer {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}\0`)
  return Buffer.from(`${variables.sort().join('')}\0${stdin}`)
}

const nameOf = (body: Buffer) => createHash('sha256').update(body).digest('hex').slice(0, 32)

describeShims('without a daemon, DEL', (install) => {
  test('is written to the journal and succeeds', async () => {
    const shim = await install()
    const env = environment('DEL')
    const { status, stdout, stderr } = await shim.call({ env })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
    expect(stderr).toBe(
      `podwire: the podwire daemon can't be asked at ${shim.socket}: it does not run; start it with "podwire daemon"; ` +
        `the DEL is in ${shim.journal}, and carried out when it is there\n`,
    )
    const body = bodyOf(env)
    expect(readdirSync(shim.journal)).toEqual([nameOf(body)])
    const entry = join(shim.journal, nameOf(body))
    expect(readFileSync(entry).equals(body)).toBe(true)
    const modes = [dirname(shim.journal), shim.journal, entry].map((path) => statSync(path).mode & 0o7777)
    expect(modes).toEqual([0o700, 0o700, 0o600])
  })

  test('is one entry however often it is called, and each other one its own', async () => {
    const shim = await install()
    const all = ['a', 'b', 'a', 'a'].map((id) => environment('DEL', { CNI_CONTAINERID: id }))
    for (const env of all) expect(await shim.call({ env })).toMatchObject({ status: 0 })
    const two = all.slice(0, 2).map((env) => nameOf(bodyOf(env)))
    expect(readdirSync(shim.journal).sort()).toEqual(two.sort())
  })

  test('is whole in its entry, whatever its length', async () => {
    const shim = await install()
    const env = environment('DEL')
    const start = bodyOf(env, '').length
    // Around the ends of the blocks that its hash is made of.
    const lengths = [1, 64 - (start % 64), 119 - (start % 64), 120 - (start % 64), 121, 128, 2 ** 20]
    for (const length of lengths) {
      const stdin = 'x'.repeat(length)
      expect(await shim.call({ env, stdin })).toMatchObject({ status: 0 })
      const body = bodyOf(env, stdin)
      expect(readFileSync(join(shim.journal, nameOf(body))).equals(body)).toBe(true)
    }
  })

  test.each([
    ['CNI_CONTAINERID', 4],
    ['CNI_IFNAME', 4],
  ])('fails without %s, and leaves nothing to be carried out', async (name, code) => {
    const shim = await install()
    const { [name]: _, ...without } = environment('DEL')
    for (const env of [without, { ...without, [name]: '' }]) {
      const call = await shim.call({ env })
      expect({ status: call.status, ...errorOf(call) }).toMatchObject({
        status: 1,
        code,
        msg: `${name} is missing`,
      })
    }
    expect(existsSync(shim.journal)).toBe(false)
  })

  test('fails without a configuration', async () => {
    const shim = await install()
    const call = await shim.call({ env: environment('DEL'), stdin: '' })
    expect({ status: call.status, ...errorOf(call) }).toMatchObject({ status: 1, code: 6 })
    expect(existsSync(shim.journal)).toBe(false)
  })

  test('follows no link in place of the journal, nor uses a file', async () => {
    const shim = await install()
    const elsewhere = join(shim.dir, 'elsewhere')
    mkdirSync(elsewhere)
    for (const [path, make] of [
      ['link', (at: string) => symlinkSync(elsewhere, at)],
      ['link-with-slash', (at: string) => symlinkSync(elsewhere, at)],
      ['dangling', (at: string) => symlinkSync('nowhere', at)],
      ['file', (at: string) => writeFileSync(at, '')],
    ] as const) {
      const at = join(shim.dir, path)
      make(at)
      shim.configure({ socket: shim.socket, journal: path.endsWith('slash') ? `${at}/` : at })
      const call = await shim.call({ env: environment('DEL') })
      expect(call.status).toBe(1)
      expect(errorOf(call)).toEqual({
        cniVersion: '1.1.0',
        code: 5,
        msg: `the journal ${at} can't be used: it is a link, or no directory`,
      })
    }
    expect(readdirSync(elsewhere)).toEqual([])
  })

  test('uses no journal that others may write', async () => {
    const shim = await install()
    mkdirSync(shim.journal, { recursive: true })
    for (const mode of [0o1777, 0o770]) {
      chmodSync(shim.journal, mode)
      const call = await shim.call({ env: environment('DEL') })
      expect({ status: call.status, ...errorOf(call) }).toMatchObject({
        status: 1,
        code: 5,
        msg: expect.stringContaining('others may write to it'),
      })
    }
    expect(readdirSync(shim.journal)).toEqual([])
  })

  test.runIf(hasOtherUsers)('uses no journal of another user', async () => {
    const shim = await install()
    mkdirSync(shim.journal, { recursive: true })
    chownSync(shim.journal, SOMEBODY, SOMEBODY)
    const call = await shim.call({ env: environment('DEL') })
    expect({ status: call.status, ...errorOf(call) }).toMatchObject({
      status: 1,
      code: 5,
      msg: expect.stringContaining('it belongs to another user'),
    })
    expect(readdirSync(shim.journal)).toEqual([])
  })

  test.runIf(isIsolated())(
    'fails on a full disk, leaves nothing there, and succeeds when there is room',
    async () => {
      const shim = await install()
      mkdirSync(shim.journal, { recursive: true })
      const mount = ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'tmpfs', shim.journal]
      expect(spawnSync('mount', mount).status).toBe(0)
      try {
        const env = environment('DEL')
        const stdin = 'x'.repeat(100_000)
        const call = await shim.call({ env, stdin })
        expect({ status: call.status, ...errorOf(call) }).toMatchObject({
          status: 1,
          code: 5,
          msg: expect.stringMatching(/no space left on device/i),
        })
        expect(readdirSync(shim.journal)).toEqual([])
        expect(await shim.call({ env })).toMatchObject({ status: 0 })
        expect(readdirSync(shim.journal)).toEqual([nameOf(bodyOf(env))])
      } finally {
        spawnSync('umount', [shim.journal])
      }
    },
  )

  test('killed at any moment leaves a whole entry or none, and one where it said that it was done', async () => {
    const shim = await install()
    // Some pages, so that there is a middle of writing.
    const stdin = 'x'.repeat(500_000)
    const first = await shim.call({ env: environment('DEL', { CNI_CONTAINERID: 'first' }), stdin })
    const bodies = new Map<string, Buffer>()
    let killed = 0
    for (let round = 0; round < 60; round++) {
      const env = environment('DEL', { CNI_CONTAINERID: `c${round}` })
      const body = bodyOf(env, stdin)
      bodies.set(nameOf(body), body)
      const child = spawn(shim.path, { env, stdio: 'pipe' })
      child.stdin.on('error', () => {})
      child.stdin.end(stdin)
      const ended = once(child, 'exit')
      await sleep(Math.random() * first.ms * 1.5)
      child.kill('SIGKILL')
      const [status] = await ended
      if (status === null) killed++
      else expect(readdirSync(shim.journal)).toContain(nameOf(body))
    }
    expect(killed).toBeGreaterThan(0)
    const entries = readdirSync(shim.journal).filter((name) => JOURNAL_ENTRY.test(name))
    const unfinished = readdirSync(shim.journal).filter((name) => !JOURNAL_ENTRY.test(name))
    expect(unfinished.filter((name) => !name.startsWith('.'))).toEqual([])
    const whole = entries.filter((name) => {
      const found = readFileSync(join(shim.journal, name))
      return found.equals(bodies.get(name) ?? bodyOf(environment('DEL', { CNI_CONTAINERID: 'first' }), stdin))
    })
    expect(whole).toEqual(entries)
  })
})
