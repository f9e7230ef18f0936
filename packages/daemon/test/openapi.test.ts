import { readFileSync, writeFileSync } from 'node:fs'
import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { startTestDaemon } from './daemon.ts'

const file = new URL('../openapi.json', import.meta.url)

describe.skipIf(!isIsolated())('the OpenAPI document', () => {
  test('is what the daemon serves', async () => {
    const { ask } = await startTestDaemon()
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
    const { body } = await ask('GET', '/openapi.json')
    const served = { ...body, info: { ...body.info, version } }
    // To write it anew: UPDATE=1 npm test -- packages/daemon/test/openapi.test.ts
    if (process.env['UPDATE']) writeFileSync(file, `${JSON.stringify(served, null, 2)}\n`)
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(served)
  })

  test('names no schema that it does not have', () => {
    const text = readFileSync(file, 'utf8')
    const { components } = JSON.parse(text)
    const named = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name = '']) => name)
    expect(named.length).toBeGreaterThan(10)
    expect(named.filter((name) => !(name in components.schemas))).toEqual([])
    expect(text).not.toContain('$defs')
  })

  test('names every route there is, and none besides', async () => {
    const { ask } = await startTestDaemon()
    const { paths } = JSON.parse(readFileSync(file, 'utf8'))
    for (const [path, methods] of Object.entries<object>(paths)) {
      for (const method of Object.keys(methods)) {
        const url = path.replaceAll(/\{\w+\}/g, 'x')
        const until = ['/v1/events', '/v1/flows'].includes(path) ? '?until=now' : ''
        const answer = await ask(method.toUpperCase(), url + until)
        expect([method, path, answer.body?.error?.code]).not.toEqual([method, path, 'NO_SUCH_ROUTE'])
      }
    }
  })
})
