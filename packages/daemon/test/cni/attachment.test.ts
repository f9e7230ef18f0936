import { describe, expect, test } from 'vitest'
import { readArgs, sandboxIdOf } from '../../src/cni/attachment.ts'

const read = (args: string) => readArgs({ args, containerId: 'abc123' })

describe('what a runtime calls a pod', () => {
  test('is its name, as Kubernetes has it', () => {
    const args =
      'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web.0;K8S_POD_UID=u-1;K8S_POD_INFRA_CONTAINER_ID=abc123;X=y'
    expect(read(args)).toEqual({ namespace: 'shop', name: 'web.0', podUid: 'u-1', ips: [] })
  })

  test('is made from the container where there are no names', () => {
    expect(read('')).toEqual({ namespace: 'cni', name: 'abc123', ips: [] })
  })

  test.each([
    ['my_web', 'MY_WEB'],
    ['a-b', 'a_b'],
    ['a..b', 'a.b'],
    ['-', '_'],
    [`${'x'.repeat(300)}1`, `${'x'.repeat(300)}2`],
    ['../../etc', 'etc'],
  ])('that no pod may be called, %s, is one that may be, and another one than %s', (one, other) => {
    const names = [one, other].map((name) => read(`K8S_POD_NAMESPACE=${name};K8S_POD_NAME=${name}`))
    for (const { namespace, name } of names) {
      expect(namespace).toMatch(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/)
      for (const label of name.split('.')) expect(label).toMatch(/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/)
    }
    expect(names[0]?.name).not.toBe(names[1]?.name)
    expect(names[0]?.namespace).not.toBe(names[1]?.namespace)
  })

  test('may come with addresses by the older convention', () => {
    expect(read('IP=10.1.0.5, fd00::5;MAC=02:00:00:00:00:05')).toMatchObject({
      ips: ['10.1.0.5', 'fd00::5'],
      mac: '02:00:00:00:00:05',
    })
  })

  test.each(['FOO=bar', 'K8S_POD_NAME', 'IgnoreUnknown=maybe'])('is refused with %s', (args) => {
    expect(() => read(args)).toThrow(expect.objectContaining({ cniCode: 4 }))
  })
})

describe('the id of an attachment', () => {
  test('is the same for the same one, and another for every other', () => {
    const id = sandboxIdOf({ containerId: 'a'.repeat(64), ifName: 'eth0' })
    expect(sandboxIdOf({ containerId: 'a'.repeat(64), ifName: 'eth0' })).toBe(id)
    const others = [
      { containerId: 'a'.repeat(64), ifName: 'net1' },
      { containerId: 'a'.repeat(63), ifName: 'eth0' },
      { containerId: 'a b', ifName: 'eth0' },
      { containerId: 'a', ifName: 'b eth0' },
    ].map(sandboxIdOf)
    expect(new Set([id, ...others]).size).toBe(5)
    expect(id).toMatch(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/)
  })
})
