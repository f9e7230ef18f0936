import { getPodIP, getPodIPs } from '@podwire/api'
import { describe, expect, test } from 'vitest'
import { isIsolated, withTempNetns } from '../src/index.ts'

// Here and not with the api, which can't depend on the kit that depends on it.
describe.runIf(isIsolated())('getPodIP in a namespace', () => {
  test('finds the address of each family, and says what ip says when the interface is missing', async () => {
    await withTempNetns(async ({ path, run }) => {
      await run('ip', 'link', 'add', 'eth0', 'type', 'bridge')
      await run('ip', 'address', 'add', 'fd00::2/64', 'dev', 'eth0', 'nodad')
      expect(await getPodIP(path, 'eth0')).toBe('fd00::2')
      await run('ip', 'address', 'add', '10.88.0.2/24', 'dev', 'eth0')
      expect(await getPodIP(path, 'eth0')).toBe('10.88.0.2')
      expect(await getPodIPs(path, 'eth0')).toEqual(['10.88.0.2', 'fd00::2'])
      await expect(getPodIP(path, 'eth1')).rejects.toThrow('"eth1" does not exist')
    })
  })

  test('says so when the namespace is missing', async () => {
    await expect(getPodIP('/run/netns/none', 'eth0')).rejects.toThrow('No such file or directory')
  })
})
