import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { useDaemons } from './daemon.ts'
import { configuration, describeShims, environment } from './shims.ts'

// What a runtime is told where a daemon answers as it should, and where none does.

const daemons = useDaemons()
const result = '{"cniVersion":"1.0.0","ips":[{"address":"10.88.0.2/32"}]}'
const error = '{"cniVersion":"1.0.0","code":7,"msg":"no such network"}'

describeShims('a shim', (install) => {
  test('sends what CNI gives a plugin, and nothing else', async () => {
    const shim = await install()
    const questions = await daemons.answering(shim.socket, () => ({ body: result }))
    const env = environment('ADD', {
      CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=wéb',
      HOME: '/root',
      XCNI_A: 'no',
      CNI: 'no',
    })
    const { status, stdout, stderr } = await shim.call({ env })
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: result, stderr: '' })
    expect(questions).toHaveLength(1)
    const { method, url, headers, env: sent, stdin, body } = questions[0]!
    expect({ method, url }).toEqual({ method: 'POST', url: '/v1/cni' })
    expect(headers).toEqual({
      host: 'podwire',
      'content-type': 'application/vnd.podwire.cni',
      'content-length': String(body.length),
      connection: 'close',
    })
    const cni = Object.entries(env).filter(([name]) => name.startsWith('CNI_'))
    const bytes = cni.map(([name, value]) => [name, Buffer.from(value).toString('latin1')])
    expect(sent).toEqual(Object.fromEntries(bytes))
    expect(stdin.toString()).toBe(configuration)
    expect(body.subarray(0, 16).toString()).toBe('CNI_ARGS=IgnoreU')
  })

  test.each(['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'])(
    'passes on what the daemon says to %s, a result or an error',
    async (command) => {
      const shim = await install()
      let fails = false
      const questions = await daemons.answering(shim.socket, () =>
        fails ? { status: 422, body: error } : { body: command === 'ADD' ? result : '' },
      )
      const env = environment(command)
      expect(await shim.call({ env })).toMatchObject({ status: 0, stdout: command === 'ADD' ? result : '' })
      fails = true
      expect(await shim.call({ env })).toMatchObject({ status: 1, stdout: error, stderr: '' })
      expect(questions.map(({ env }) => env['CNI_COMMAND'])).toEqual([command, command])
    },
  )

  test('passes on an answer of megabytes as it is', async () => {
    const shim = await install()
    const large = JSON.stringify('ü'.repeat(2_000_000))
    await daemons.answering(shim.socket, () => ({ body: large }))
    const { status, stdout } = await shim.call()
    expect(status).toBe(0)
    expect(stdout === large).toBe(true)
  })

  test('waits for an answer that takes its time', async () => {
    const shim = await install()
    await daemons.answering(shim.socket, async () => {
      await sleep(500)
      return { body: result }
    })
    expect(await shim.call()).toMatchObject({ status: 0, stdout: result })
  })

  test('takes no arguments', async () => {
    const shim = await install()
    await daemons.answering(shim.socket, () => ({ body: result }))
    expect(await shim.call({ args: ['--help', '-x', '\n'] })).toMatchObject({ status: 0, stdout: result })
  })

  test('sends stdin as it is, whatever it is', async () => {
    const shim = await install()
    const questions = await daemons.answering(shim.socket)
    const all = [
      Buffer.alloc(0),
      'not JSON',
      Buffer.from([0, 0xff, 0xc3, 0x28, 0, 10]),
      Buffer.alloc(2 ** 20, 0x80),
    ]
    for (const stdin of all) expect(await shim.call({ stdin })).toMatchObject({ status: 0 })
    const isSame = questions.map(({ stdin }, index) => stdin.equals(Buffer.from(all[index] ?? '')))
    expect(isSame).toEqual([true, true, true, true])
  })

  test.each([
    ['ADD', 11],
    ['CHECK', 11],
    ['GC', 11],
    ['STATUS', 50],
  ])('fails at once without a daemon, with a sentence: %s, code %i', async (command, code) => {
    const shim = await install()
    const { status, stdout, stderr, ms } = await shim.call({ env: environment(command) })
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({
      cniVersion: '1.1.0',
      code,
      msg: `the podwire daemon can't be asked at ${shim.socket}: it does not run; start it with "podwire daemon"`,
    })
    expect(ms).toBeLessThan(10_000)
  })

  test('answers VERSION without a daemon', async () => {
    const shim = await install()
    const { status, stdout } = await shim.call({ env: environment('VERSION') })
    expect({ status, answer: JSON.parse(stdout) }).toEqual({
      status: 0,
      answer: { cniVersion: '1.1.0', supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] },
    })
  })
})
