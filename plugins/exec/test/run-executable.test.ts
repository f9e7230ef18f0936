import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { boundedOutput } from '../src/bounded-output.ts'
import { initOptions, pod, useExecPlugins } from './exec-plugins.ts'

const plugins = useExecPlugins()
const signal = new AbortController().signal
const notInit = '[ "$1" = init ] && exit 0;'

const pidIn = async (file: string) => Number(await plugins.read(file))
const isRunning = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
const until = async (condition: () => boolean | Promise<boolean>) => {
  const end = performance.now() + 5_000
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`still not: ${condition}`)
    await sleep(10)
  }
}

describe('an abort', () => {
  test('ends a script and a grandchild that ignore SIGTERM and hold stdout', async () => {
    const plugin = await plugins.plugin(
      `${notInit} trap '' TERM; (echo $(exec sh -c 'echo $PPID') > "$T/grandchild"; while :; do sleep 0.1; done) & echo $$ > "$T/child"; wait; while :; do sleep 0.1; done`,
    )
    const controller = new AbortController()
    const setUp = plugin.setUpPod(pod, controller.signal)
    await until(() => existsSync(plugins.file('child')) && existsSync(plugins.file('grandchild')))
    const aborted = performance.now()
    const reason = new Error('deadline of 2m')
    controller.abort(reason)
    await expect(setUp).rejects.toMatchObject({
      code: 'EXEC_STOPPED',
      message: expect.stringContaining('deadline of 2m'),
      cause: reason,
    })
    expect(performance.now() - aborted).toBeLessThan(4_000)
    const pids = [await pidIn('child'), await pidIn('grandchild')]
    await until(() => !pids.some(isRunning))
  })

  test('lets a script undo what it did', async () => {
    const plugin = await plugins.plugin(
      `${notInit} trap 'echo undone > "$T/undone"; exit 1' TERM; touch "$T/begun"; while :; do sleep 0.05; done`,
    )
    const controller = new AbortController()
    const setUp = plugin.setUpPod(pod, controller.signal)
    await until(() => existsSync(plugins.file('begun')))
    controller.abort(new Error('deadline'))
    await expect(setUp).rejects.toMatchObject({ code: 'EXEC_STOPPED' })
    expect(await plugins.read('undone')).toBe('undone\n')
  })

  test('before the call starts nothing', async () => {
    const plugin = await plugins.plugin(`${notInit} touch "$T/begun"`)
    const reason = new Error('too late')
    await expect(plugin.setUpPod(pod, AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(existsSync(plugins.file('begun'))).toBe(false)
  })

  test('ends an init when the host closes', async () => {
    await plugins.write('acme.io~net', 'sleep 60')
    const [plugin] = await plugins.probe()
    const init = plugin?.init(plugins.host, initOptions)
    const failed = expect(init).rejects.toThrow('the host closes')
    await sleep(300)
    await plugin?.close?.()
    await failed
  })
})

test('a daemon that a successful call leaves behind, holding stdout, is neither waited for nor killed', async () => {
  const plugin = await plugins.plugin(`${notInit} sleep 60 & echo $! > "$T/daemon"; echo done`)
  const started = performance.now()
  await plugin.setUpPod(pod, signal)
  expect(performance.now() - started).toBeLessThan(5_000)
  const daemon = await pidIn('daemon')
  expect(isRunning(daemon)).toBe(true)
  process.kill(daemon)
})

test('a call that fails leaves no process behind', async () => {
  const plugin = await plugins.plugin(`${notInit} sleep 60 & echo $! > "$T/daemon"; exit 1`)
  await expect(plugin.setUpPod(pod, signal)).rejects.toMatchObject({ code: 'EXEC_FAILED' })
  const daemon = await pidIn('daemon')
  await until(() => !isRunning(daemon))
})

test('100 MB of output end the call no earlier and fill no memory', async () => {
  const plugin = await plugins.plugin(
    `${notInit} echo first; head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last; exit 1`,
  )
  const before = process.memoryUsage().rss
  const error: unknown = await plugin.setUpPod(pod, signal).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({
    code: 'EXEC_FAILED',
    message: expect.stringMatching(/exit code 1 after \d+ ms: last$/),
    details: { output: expect.stringMatching(/^first\nx+\n… \d+ bytes left out …\nx+\nlast\n$/) },
  })
  expect(process.memoryUsage().rss - before).toBeLessThan(80e6)
})

describe('boundedOutput', () => {
  const collect = (limit: number, chunks: string[]) => {
    const output = boundedOutput(limit)
    for (const chunk of chunks) output.push(Buffer.from(chunk))
    return output.text()
  }

  test.each([
    [['abc'], 'abc'],
    [['abcdef', 'gh'], 'abcdefgh'],
    [['abcdefghi'], 'abcd\n… 1 bytes left out …\nfghi'],
    [[...'abcdefghijklmnopqrstuvwxyz0123456789'], 'abcd\n… 28 bytes left out …\n6789'],
  ])('keeps 4 bytes of the beginning and 4 of the end of %j', (chunks, kept) => {
    expect(collect(4, chunks)).toBe(kept)
  })
})
