import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isIsolated, recordingLogger } from '@podwire/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { until } from '../../../../.dev/etcd-server.ts'
import { type ClusterEvent, joinKubernetes, readKubernetesAccess } from '../../src/index.ts'
import { readNode } from '../../src/kubernetes/node.ts'
import { keepNodeTable } from '../../src/kubernetes/node-table.ts'
import { afterThis, stateDir } from '../leases/members.ts'
import { nodeObject, startApiServer } from './api-server.ts'

const sh = (command: string) => execFileSync('sh', ['-ec', command], { encoding: 'utf8' })
const routes = () => sh('ip route show proto 80').trim().split(/ *\n/)

describe.skipIf(!isIsolated())('the Nodes of Kubernetes', () => {
  beforeEach(() => sh('ip link add eth0 type bridge; ip link set eth0 up; ip addr add 192.0.2.1/24 dev eth0'))
  afterEach(() => sh('ip link del podwire.1 2>/dev/null || true; ip link del eth0'))

  async function start(name = 'a') {
    const api = await startApiServer('secret')
    const events: ClusterEvent[] = []
    const log = recordingLogger()
    const begin = async (token = 'secret') => {
      const cluster = await joinKubernetes({
        access: { server: api.server, token: () => token },
        nodeName: name,
        clusterCIDR: '10.244.0.0/16',
        backend: { type: 'vxlan', vni: 1, port: 8472, directRouting: true },
        publicIP: '192.0.2.1',
        stateDir: stateDir(),
        log,
        onEvent: (event) => void events.push(event),
      })
      afterThis(() => cluster.stop())
      return cluster
    }
    return { api, events, log, begin }
  }

  test('give this one its pod CIDR, and the ways to all others, who come and go', async () => {
    const { api, events, begin } = await start()
    api.put(nodeObject('a', ['10.244.0.0/24'], ['192.0.2.1']))
    api.put(nodeObject('b', ['10.244.1.0/24'], ['192.0.2.2']))
    api.put(nodeObject('c', ['10.244.2.0/24'], ['203.0.113.3']))
    api.put(nodeObject('none', [], ['203.0.113.4']))
    const cluster = await begin()
    expect(cluster).toMatchObject({ problem: undefined, share: { podCIDR: '10.244.0.0/24', mtu: 1450 } })
    const both = ['10.244.1.0/24 via 192.0.2.2 dev eth0', '10.244.2.0/24 via 10.244.2.0 dev podwire.1 onlink']
    await until(() => JSON.stringify(routes()) === JSON.stringify(both))
    await until(() => api.watching() === 1)
    api.put(nodeObject('none', ['10.244.3.0/24'], ['203.0.113.4']))
    await until(() => routes().length === 3)
    api.delete(nodeObject('b', ['10.244.1.0/24'], ['192.0.2.2']))
    await until(() => routes().length === 2)
    expect(events.map(({ event }) => event)).toEqual(['joined'])
    expect(cluster.peers().map(({ nodeName }) => nodeName)).toEqual(['c', 'none'])
  })

  test('are watched on over a connection that ends, and listed again where the server forgot', async () => {
    const { api, log, begin } = await start()
    api.put(nodeObject('a', ['10.244.0.0/24'], ['192.0.2.1']))
    await begin()
    await until(() => api.watching() === 1)
    const lists = api.asked.filter((one) => one === 'list').length
    api.endWatches()
    await until(() => api.asked.filter((one) => one === 'watch').length === 2 && api.watching() === 1)
    expect(api.asked.filter((one) => one === 'list')).toHaveLength(lists)
    api.forget()
    api.put(nodeObject('b', ['10.244.1.0/24'], ['192.0.2.2']))
    await until(() => routes().some((line) => line.startsWith('10.244.1.0/24')))
    expect(log.messages('info').some((text) => text.includes('forgotten'))).toBe(true)
  })

  test('that have none for this one leave it without, and it says so', async () => {
    const { api, events, begin } = await start()
    const cluster = await begin()
    expect(cluster).toMatchObject({ share: undefined, problem: 'Kubernetes has no Node a' })
    expect(cluster.holds()).toBe(false)
    await until(() => api.watching() === 1)
    api.put(nodeObject('a', [], ['192.0.2.1']))
    await until(() => cluster.problem === 'Kubernetes has given Node a no pod CIDR')
    api.put(nodeObject('a', ['10.244.5.0/24'], ['192.0.2.1']))
    await until(() => events.length === 1)
    expect(cluster.share?.podCIDR).toBe('10.244.5.0/24')
    api.delete(nodeObject('a', ['10.244.5.0/24'], ['192.0.2.1']))
    await until(() => events.length === 2)
    expect(events.map(({ event }) => event)).toEqual(['joined', 'fenced'])
    expect(cluster.holds()).toBe(false)
  })

  test('that change faster than routes are made leave nothing told that is no longer so', async () => {
    const { api, events, begin } = await start()
    await begin()
    await until(() => api.watching() === 1)
    api.put(nodeObject('a', ['10.244.5.0/24'], ['192.0.2.1']))
    api.put(nodeObject('a', [], ['192.0.2.1']))
    api.put(nodeObject('a', ['10.244.6.0/24'], ['192.0.2.1']))
    const told = () => events.map((one) => (one.event === 'joined' ? one.share.podCIDR : one.event))
    await until(() => told().includes('10.244.6.0/24'))
    expect(told()).toEqual(['fenced', '10.244.6.0/24'])
  })

  test('are asked for again where a watch is taken and never answered', async () => {
    const { api, begin } = await start()
    api.put(nodeObject('a', ['10.244.0.0/24'], ['192.0.2.1']))
    api.beSilent('watches')
    const cluster = await begin()
    await until(() => cluster.problem?.includes('no answer in time') === true)
    api.beSilent('no')
    await until(() => api.watching() === 1 && cluster.problem === undefined)
  })

  test.each([
    ['is not JSON', '{"type":"MODIFIED","object":{'],
    ['is no event', '{"type":"RENAMED","object":{}}'],
  ])('are listed again where what is told of them %s', async (_what, line) => {
    const { api, log, begin } = await start()
    api.put(nodeObject('a', ['10.244.0.0/24'], ['192.0.2.1']))
    const cluster = await begin()
    await until(() => api.watching() === 1)
    const lists = api.asked.filter((one) => one === 'list').length
    api.say(line)
    await until(() => api.asked.filter((one) => one === 'list').length > lists && api.watching() === 1)
    expect(log.messages('warn').join()).toContain("can't be read, and they are listed again")
    api.put(nodeObject('b', ['10.244.1.0/24'], ['192.0.2.2']))
    await until(() => routes().some((one) => one.startsWith('10.244.1.0/24')))
    // It was asked for once.
    expect(log.messages('warn')).toHaveLength(1)
    expect(cluster.problem).toBeUndefined()
  })

  test('are asked for again in time where a watch that was answered falls silent', async () => {
    const api = await startApiServer('secret')
    const access = { server: api.server, token: () => 'secret' }
    const table = keepNodeTable({ access, log: recordingLogger(), onChange: () => {}, watchSeconds: 1 })
    afterThis(() => table.stop())
    await until(() => api.watching() === 1)
    api.fallSilent()
    api.put(nodeObject('late', ['10.244.9.0/24'], ['192.0.2.9']))
    await until(() => table.nodes?.has('late') === true)
  })

  test('leave a start alone that the server never answers', async () => {
    const { api, begin } = await start()
    api.beSilent('all')
    api.put(nodeObject('a', ['10.244.0.0/24'], ['192.0.2.1']))
    const began = performance.now()
    const cluster = await begin()
    expect(performance.now() - began).toBeLessThan(8_000)
    api.beSilent('no')
    await until(() => cluster.share !== undefined)
  })

  test('are not told to who may not know', async () => {
    const { begin } = await start()
    const cluster = await begin('wrong')
    expect(cluster.problem).toContain('HTTP status 401')
  })
})

describe('the way to an API server', () => {
  const files = (content: Record<string, string>) => {
    const dir = mkdtempSync(join(tmpdir(), 'podwire-kube-'))
    afterThis(() => rmSync(dir, { recursive: true, force: true }))
    for (const [name, text] of Object.entries(content)) writeFileSync(join(dir, name), text)
    return dir
  }
  const kubeconfig = (user: string) => `
apiVersion: v1
kind: Config
current-context: here
contexts: [{ name: here, context: { cluster: one, user: me } }]
clusters: [{ name: one, cluster: { server: 'https://192.0.2.10:6443', certificate-authority-data: ${Buffer.from('CA').toString('base64')} } }]
users: [{ name: me, user: ${user} }]
`

  test('is that of a service account, whose token is read anew', async () => {
    const dir = files({ token: 'first\n', 'ca.crt': 'CA' })
    const access = await readKubernetesAccess(undefined, { KUBERNETES_SERVICE_HOST: 'fd00::1' }, dir)
    expect(access).toMatchObject({ server: 'https://[fd00::1]:443', ca: 'CA' })
    expect(access.token()).toBe('first')
    writeFileSync(join(dir, 'token'), 'second')
    expect(access.token()).toBe('second')
  })

  test('is that of a kubeconfig', async () => {
    const dir = files({
      config: kubeconfig('{ client-certificate: me.crt, client-key-data: S0VZ }'),
      tokens: kubeconfig('{ tokenFile: token }'),
      'me.crt': 'CERT',
      token: 'secret',
    })
    const access = await readKubernetesAccess(join(dir, 'config'))
    expect(access).toMatchObject({ server: 'https://192.0.2.10:6443', ca: 'CA', cert: 'CERT', key: 'KEY' })
    expect(access.token()).toBeUndefined()
    expect((await readKubernetesAccess(join(dir, 'tokens'))).token()).toBe('secret')
  })

  test.each([
    ['is not there', undefined],
    ['is not one', '[]'],
    ['asks a program', kubeconfig('{ exec: { command: aws } }')],
    ['lacks what it names', kubeconfig('{ token: x }').replace('name: me,', 'name: you,')],
  ])('a kubeconfig that %s is refused', async (_what, content) => {
    const dir = files(content === undefined ? {} : { config: content })
    await expect(readKubernetesAccess(join(dir, 'config'))).rejects.toMatchObject({
      code: 'KUBERNETES_ACCESS',
    })
  })

  test('outside of a pod there is no service account', async () => {
    await expect(readKubernetesAccess(undefined, {})).rejects.toThrow('no pod of Kubernetes')
  })
})

test.each([undefined, null, 7, {}, { metadata: {} }, { metadata: { name: 'a' }, spec: { podCIDRs: 7 } }])(
  '%j is no Node',
  (value) => {
    expect(readNode(value)).toBeUndefined()
  },
)
