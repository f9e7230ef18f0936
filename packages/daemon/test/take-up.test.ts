import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { afterThis, startTestDaemon, until } from './daemon.ts'

/** A plugin that writes down which repairs it is asked for, and when it is closed; setting up a pod named `crash` ends its process. */
const telling = `
  init: async function () { this.file = this.options.file },
  event: async function (name, details) {
    if (name !== 'repair') return
    const { appendFileSync } = await import('node:fs')
    appendFileSync(this.file, 'resident ' + details.resident + '\\n')
  },
  setUpPod: async (pod) => { if (pod.name === 'crash') process.exit(1); return { ip: '192.0.2.9' } },
  close: async function () {
    const { appendFileSync } = await import('node:fs')
    appendFileSync(this.file, 'closed\\n')
  },`

describe.skipIf(!isIsolated())('what a process did for pods until it ended is taken up by', () => {
  async function start(config: object = {}) {
    const dir = mkdtempSync(join(tmpdir(), 'podwire-take-up-'))
    afterThis(() => rmSync(dir, { recursive: true, force: true }))
    const file = join(dir, 'told')
    const options = { plugins: { odd: { file } }, ...config }
    const started = await startTestDaemon(telling, options)
    const told = () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [])
    return { ...started, told, file }
  }

  test('a daemon that starts, before it is reached', async () => {
    const { told } = await start()
    expect(told()).toEqual(['resident true'])
  })

  test('a host that is exchanged for another one, once that is closed', async () => {
    const { told, file, configure, daemon } = await start()
    configure({ plugins: { odd: { file, other: true } } })
    await daemon.reload()
    await until(() => told().length === 3)
    expect(told()).toEqual(['resident true', 'closed', 'resident true'])
  })

  test('a plugin’s process that is started again after a crash', async () => {
    const { told, ask } = await start({ isolation: 'process' })
    expect(told()).toEqual(['resident true'])
    await ask('PUT', '/v1/pods/default/crash', {})
    await until(() => told().length === 2)
    expect(told()).toEqual(['resident true', 'resident true'])
  })
})
