import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { ended, project, withPlugin } from './podwire.ts'

const slowSetUp = `setUpPod: (pod, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, 500, { ip: '192.0.2.9' })
  signal.addEventListener('abort', () => { clearTimeout(timer); reject(signal.reason) })
}),`

describe.skipIf(!isIsolated())('signals', () => {
  test('end a run at whatever moment they come, and leave nothing', async () => {
    const { start, podwire, dir } = project(withPlugin(slowSetUp))
    // How long a run takes from its start to its command, on this machine as it is now.
    const started = performance.now()
    const first = start('run', '--', 'sh', '-c', 'echo ready; exec sleep 1000')
    await once(first.stdout, 'data')
    const wholeMs = performance.now() - started
    first.kill('SIGTERM')
    expect(await ended(first)).toMatchObject({ code: 143 })

    const kill = async (index: number, count: number) => {
      const child = start('run', '--', 'sleep', '1000')
      const end = ended(child)
      await sleep((wholeMs * 1.2 * index) / count)
      child.kill('SIGTERM')
      // A signal that was lost would leave the command running for as long as the test may take.
      const { code, signal } = await end
      expect(signal ?? code).toBe(signal ? 'SIGTERM' : 143)
    }
    const count = 16
    for (let index = 0; index < count; index += 2)
      await Promise.all([kill(index, count), kill(index + 1, count)])
    expect(readdirSync('/run/netns')).toEqual([])
    expect(readdirSync(join(dir, 'state/sandboxes'))).toEqual([])
    expect(JSON.parse(podwire('ps', '--json').stdout)).toEqual([])
  }, 240_000)

  test('go to the command while it runs', async () => {
    const { start } = project(withPlugin(''))
    const running = start(
      'run',
      '--',
      'sh',
      '-c',
      'trap "echo caught; exit 9" TERM; echo ready; while :; do sleep 0.05; done',
    )
    await once(running.stdout, 'data')
    running.kill('SIGTERM')
    expect(await ended(running)).toMatchObject({ code: 9, stdout: expect.stringContaining('caught') })
    expect(readdirSync('/run/netns')).toEqual([])
  }, 240_000)

  test('that come while the sandbox is torn down do not stop that', async () => {
    const { start, dir } = project(
      withPlugin(`tearDownPod: async (pod) => {
        const { existsSync, writeFileSync } = await import('node:fs')
        writeFileSync('tearing-down', '')
        while (!existsSync('go-on')) await new Promise((resolve) => setTimeout(resolve, 10))
      },`),
    )
    const running = start('run', '--', 'sh', '-c', 'exit 3')
    const end = ended(running)
    await until(() => readdirSync(dir).includes('tearing-down'))
    running.kill('SIGTERM')
    running.kill('SIGINT')
    const { writeFileSync } = await import('node:fs')
    writeFileSync(join(dir, 'go-on'), '')
    expect(await end).toMatchObject({ code: 3 })
    expect(readdirSync('/run/netns')).toEqual([])
  }, 240_000)

  test('end a status that waits for its plugin', async () => {
    const { start, dir } = project(
      withPlugin(`status: async () => {
        const { writeFileSync } = await import('node:fs')
        writeFileSync('asked', '')
        await new Promise(() => {})
      },`),
    )
    const running = start('status')
    const end = ended(running)
    await until(() => readdirSync(dir).includes('asked'))
    running.kill('SIGINT')
    expect(await end).toMatchObject({ code: 130, stderr: expect.stringContaining('interrupted by SIGINT') })
  }, 240_000)

  test('SIGKILL leaves the job to the next command, which ends it with its sandbox', async () => {
    const { start, podwire, dir } = project(withPlugin(''))
    const running = start('run', '--', 'sh', '-c', 'echo $$ > job; echo ready; exec sleep 1000')
    await once(running.stdout, 'data')
    const job = readFileSync(join(dir, 'job'), 'utf8').trim()
    running.kill('SIGKILL')
    await once(running, 'exit')
    expect(readdirSync('/run/netns')).toHaveLength(1)
    expect(podwire('down', 'default/other').status).toBe(0)
    expect(readdirSync('/run/netns')).toEqual([])
    expect(readdirSync(join(dir, 'state/sandboxes'))).toEqual([])
    await until(() => !readdirSync('/proc').includes(job))
  }, 240_000)
})

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(20)
}
