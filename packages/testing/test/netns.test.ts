import { access } from 'node:fs/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { ipJson, isIsolated, useNetns, withTempNetns } from '../src/index.ts'

describe.runIf(isIsolated())('namespaces', () => {
  const netns = useNetns()
  afterEach(netns.removeAll)

  test('are apart from each other, and run commands inside', async () => {
    const [a, b] = [await netns.add(), await netns.add()]
    await a.run('ip', 'link', 'add', 'br0', 'type', 'bridge')
    expect(await a.ip('link', 'show', 'dev', 'br0')).toMatchObject([{ ifname: 'br0' }])
    expect((await b.ip('link')).map((link) => link.ifname)).toEqual(['lo'])
    await expect(b.run('ip', 'link', 'show', 'dev', 'br0')).rejects.toThrow('does not exist')
  })

  test('have their loopback up, and leave out what the filter of ip leaves empty', async () => {
    const { ip } = await netns.add()
    expect(await ip('-4', 'addr', 'show', 'dev', 'lo')).toMatchObject([
      { addr_info: [{ local: '127.0.0.1' }] },
    ])
    expect(await ip('link', 'show', 'type', 'bridge')).toEqual([])
  })

  test('are removed together, also those the test removed itself', async () => {
    const [a, b] = [await netns.add(), await netns.add()]
    await ipJson('netns', 'delete', a.name)
    await netns.removeAll()
    await expect(access(b.path)).rejects.toThrow('ENOENT')
  })

  test('are removed after a failure', async () => {
    let path = ''
    const failing = withTempNetns(async (temporary) => {
      path = temporary.path
      await access(path)
      throw new Error('the test failed')
    })
    await expect(failing).rejects.toThrow('the test failed')
    await expect(access(path)).rejects.toThrow('ENOENT')
  })
})
