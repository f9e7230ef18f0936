import { chmod, mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type JsonObject, parseNetworkConfigList, type Result100 } from '@podwire/libcni'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { attachment, failureOf, type Playground, playground } from '../support/playground.ts'

let play: Playground
beforeEach(async () => {
  play = await playground({ rollbackDeadlineMs: 1000 })
})
afterEach(() => play.remove())

const network = (type = 'one', more: JsonObject = {}) =>
  parseNetworkConfigList(JSON.stringify({ name: 'net1', cniVersion: '1.0.0', plugins: [{ type, ...more }] }))
const add = (type = 'one', deadlineMs = 10_000) =>
  failureOf(play.cni.add(network(type), attachment, { deadlineMs }))

describe('a plugin that can not be run', () => {
  it('is missing', async () => {
    const error = await add('gone')
    expect(error).toMatchObject({
      code: 'ERR_CNI_PLUGIN_NOT_FOUND',
      message: `failed to find plugin "gone" in path [${play.plugins}]`,
    })
  })

  it.each(['../one', 'a/b', '/bin/true', '.', '..', 'a\0b'])('has the name %j', async (type) => {
    expect(await add(type)).toMatchObject({
      code: 'ERR_CNI_PLUGIN_NAME',
      message: expect.stringMatching(/^invalid plugin name: /),
    })
  })

  it('is a directory', async () => {
    await mkdir(join(play.plugins, 'one'))
    expect((await add()).code).toBe('ERR_CNI_PLUGIN_NOT_FOUND')
  })

  it.each([
    ['is not executable', '#!/bin/sh\n', 0o644, 'EACCES'],
    ['names an interpreter that is not there', '#!/nowhere/sh\n', 0o755, 'ENOENT'],
  ])('%s', async (_, content, mode, reason) => {
    await writeFile(join(play.plugins, 'one'), content)
    await chmod(join(play.plugins, 'one'), mode)
    const error = await add()
    expect(error.code).toBe('ERR_CNI_PLUGIN_START')
    expect(error.message).toContain(reason)
    expect(await play.cacheFiles()).toEqual([])
  })

  it('is just being written, and runs once it is whole', async () => {
    const path = await play.install('one')
    await writeFile(path, await readFile('/bin/true'))
    const writer = await open(path, 'r+')
    let closed = false
    setTimeout(async () => {
      closed = true
      await writer.close()
    }, 600)
    await play.cni.del(network(), attachment)
    expect(closed).toBe(true)
  })
})

describe('a plugin that ends badly', () => {
  const cases: [string, script: string, cniCode: number, message: RegExp][] = [
    ['killed', 'kill -9 $$', 999, /netplugin failed with no error message: signal: killed \(SIGKILL after/],
    ['terminated', 'kill -TERM $$', 999, /netplugin failed with no error message: signal: terminated/],
    ['exit 1 with nothing', 'exit 1', 999, /netplugin failed with no error message: exit status 1/],
    ['exit 3 with stderr', 'echo oh dear >&2; exit 3', 999, /netplugin failed: "oh dear\\n": exit status 3/],
    [
      'exit 1 with an error',
      `echo '{"code":7,"msg":"m","details":"d"}'; exit 1`,
      7,
      /: m; d \(exit status 1/,
    ],
    ['exit 1 with an error of its own code', `echo '{"code":142,"msg":"m"}'; exit 1`, 142, /: m \(exit/],
    [
      'exit 1 with an error and null for details',
      `echo '{"code":11,"msg":"m","details":null}'; exit 1`,
      11,
      /: m \(exit/,
    ],
    [
      'exit 1 with an error on several lines',
      `printf %s '{"code":7,"msg":"ran iptables:\\n  no chain\\n"}'; exit 1`,
      7,
      /: ran iptables: no chain \(exit/,
    ],
    ['exit 1 with an error without a code', `echo '{"msg":"m"}'; exit 1`, 999, /: m \(exit/],
    ['exit 1 with garbage', 'echo garbage; exit 1', 999, /error parsing its diagnostic message "garbage\\n"/],
    ['exit 1 with an array', 'echo []; exit 1', 999, /error parsing its diagnostic message/],
    ['exit 1 with a string', `echo '"x"'; exit 1`, 999, /error parsing its diagnostic message/],
    ['exit 1 with another object', `echo '{"x":1}'; exit 1`, 999, /error parsing its diagnostic message/],
    [
      'exit 1 with a code that is text',
      `echo '{"code":"7","msg":"m"}'; exit 1`,
      999,
      /error parsing its diagnostic message/,
    ],
    [
      'exit 1 with a message that is a list',
      `echo '{"code":7,"msg":[]}'; exit 1`,
      999,
      /error parsing its diagnostic message/,
    ],
  ]
  it.each(cases)('%s', async (_, script, cniCode, message) => {
    await play.install('one', { ADD: script })
    const error = await add()
    expect(error).toMatchObject({ code: 'ERR_CNI_PLUGIN_FAILED', cniCode })
    expect(error.message).toMatch(message)
    expect(error.message).not.toContain('\n')
    expect(error.details).toMatchObject({
      network: 'net1',
      plugin: 'one',
      command: 'ADD',
      durationMs: expect.any(Number),
    })
  })

  it('exits 0 with garbage', async () => {
    await play.install('one', { ADD: 'echo garbage' })
    expect((await add()).code).toBe('ERR_CNI_PLUGIN_OUTPUT')
  })

  it('prints 50 MB', async () => {
    await play.install('one', { ADD: 'exec head -c 50000000 /dev/zero' })
    const error = await add()
    expect(error.message).toContain('it printed more than 16777216 bytes')
  })

  it('writes 50 MB to stderr: the end of it is kept', async () => {
    await play.install('one', {
      ADD: 'head -c 50000000 /dev/zero | tr "\\0" x >&2; echo the end >&2; exit 1',
    })
    const error = await add()
    expect(error.message.length).toBeLessThan(5000)
    expect(error.details['stderr']).toMatch(/xthe end$/)
  })

  it.each([
    ['JSON nested deep', `awk 'BEGIN { for (i = 0; i < 100000; i++) printf "[" }'`],
    [
      'a result nested deep',
      `awk 'BEGIN { printf "{\\"x\\":"; for (i = 0; i < 100000; i++) printf "["; for (i = 0; i < 100000; i++) printf "]"; printf "}" }'`,
    ],
  ])('prints %s', async (_, script) => {
    await play.install('one', { ADD: script })
    expect((await add()).message).toContain('nested more than 1000 deep')
  })
})

describe('a plugin that goes its own way', () => {
  it('hangs until the deadline, and is killed with its children', async () => {
    await play.install('one', { ADD: `sleep 600 & echo $! > '${play.directory}/child'; sleep 600` })
    const error = await add('one', 2000)
    expect(error).toMatchObject({ code: 'ERR_CNI_DEADLINE', cniCode: 11, details: { deadlineMs: 2000 } })
    expect(error.message).toContain('no answer within the deadline of 2000 ms')
    expect(await isAlive(await childOf(play))).toBe(false)
  })

  it('has all the time in the world', async () => {
    await play.install('one')
    await play.cni.add(network(), attachment, { deadlineMs: Number.POSITIVE_INFINITY })
    await play.cni.del(network(), attachment, { deadlineMs: 2 ** 40 })
  })

  it('is aborted before it starts', async () => {
    await play.install('one')
    const error = await failureOf(play.cni.add(network(), attachment, { signal: AbortSignal.abort() }))
    expect(error.code).toBe('ERR_CNI_ABORTED')
    expect(await play.order()).toEqual([])
  })

  it.each(['', 'exec <&-; sleep 0.05;'])('ends without reading a 10 MB config: %j', async (before) => {
    await play.install('one')
    await writeFile(join(play.plugins, 'one'), `#!/bin/sh\n${before} echo '{"cniVersion":"1.0.0"}'\n`)
    const big = network('one', { blob: 'x'.repeat(10_000_000) })
    expect(await play.cni.add(big, attachment)).toEqual({ cniVersion: '1.0.0' })
  })

  it('reads a 10 MB config', async () => {
    await play.install('one')
    await writeFile(
      join(play.plugins, 'one'),
      `#!/bin/sh\nsize=$(wc -c)\necho '{"cniVersion":"1.0.0","interfaces":[{"name":"n","mac":"'$size'"}]}'\n`,
    )
    const result = await play.cni.add(network('one', { blob: 'x'.repeat(10_000_000) }), attachment)
    const [size] = (result as Result100).interfaces! // the plugin says so
    expect(Number(size!.mac)).toBeGreaterThan(10_000_000)
  })

  it('leaves a child behind that keeps stdin open, and what it does not read is let go of', async () => {
    await play.install('one', {
      ADD: `exec 3<&0; sleep 60 <&3 >/dev/null 2>&1 & echo $! > '${play.directory}/child'; echo '{"cniVersion":"1.0.0"}'`,
    })
    const pipes = () => process.getActiveResourcesInfo().filter((kind) => kind === 'PipeWrap').length
    const before = pipes()
    await play.cni.add(network('one', { blob: 'x'.repeat(300_000) }), attachment)
    process.kill(await childOf(play), 'SIGKILL')
    expect(pipes()).toBeLessThanOrEqual(before)
  })

  it.each([
    ['both', ''],
    ['stdout', '2>/dev/null'],
    ['stderr', '>/dev/null'],
  ])('leaves a child behind that keeps %s open', async (_, redirect) => {
    await play.install('one', {
      ADD: `sleep 600 ${redirect} & echo $! > '${play.directory}/child'; echo '{"cniVersion":"1.0.0"}'`,
    })
    expect(await play.cni.add(network(), attachment)).toEqual({ cniVersion: '1.0.0' })
    const child = await childOf(play)
    expect(await isAlive(child)).toBe(true)
    process.kill(child, 'SIGKILL')
  })
})

it('costs nothing that stays: 300 runs leave no process, file or listener behind', async () => {
  await play.install('one')
  const controller = new AbortController()
  const files = async () => (await readdir('/proc/self/fd')).length
  const before = await files()
  for (let round = 0; round < 30; round++)
    await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        play.cni.del(network(), { ...attachment, containerId: `c${index}` }, { signal: controller.signal }),
      ),
    )
  // Pipes close a moment after their process; what leaked would be counted in hundreds.
  await vi.waitFor(async () => expect(await files()).toBeLessThanOrEqual(before + 10))
})

async function childOf({ directory }: Playground): Promise<number> {
  return Number(await readFile(join(directory, 'child'), 'utf8'))
}

// A killed orphan is a zombie until init comes round.
async function isAlive(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  return status !== undefined && !/\) Z /.test(status)
}
