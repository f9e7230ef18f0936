import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { check } from '../src/checker/check.ts'
import type { HostModel, PodModel } from '../src/checker/model.ts'
import { observe } from '../src/checker/observe.ts'
import { datapathNames, describeAttack, run, useHosts, web } from './attack/attacker.ts'

const port = { hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }
const annotations = { 'kubernetes.io/ingress-bandwidth': '10M', 'kubernetes.io/egress-bandwidth': '20M' }
const limits = { ingress: 10_000_000, egress: 20_000_000 }

describeAttack.each(datapathNames)('the checker (%s)', (datapath) => {
  const open = useHosts()

  async function onePod() {
    const { stateDir, host } = await open({ datapath })
    const record = await host.setUpPod({ ...web, portMappings: [port], annotations })
    const pod: PodModel = { ...web, ports: [port], bandwidth: limits }
    const model: HostModel = {
      stateDir,
      datapath,
      bridge: 'cbr0',
      gateways: ['10.88.0.1/24'],
      pods: [pod],
      isTidy: true,
    }
    const links = run('ip', '-o', 'link').match(/pwi?[0-9a-f]{12}/g) ?? []
    const [egress = ''] = links.filter((name) => name.startsWith('pwi'))
    const [link = ''] = links.filter((name) => !name.startsWith('pwi'))
    const name = record.pod.netns.slice('/run/netns/'.length)
    const differences = (more: Partial<HostModel> = {}) =>
      check({ hosts: [{ ...model, ...more }] }, observe([stateDir]))
    const table = `podwire-${readFileSync(join(stateDir, 'plugins/kubenet/id'), 'utf8').slice(0, 8)}`
    return { stateDir, host, record, pod, link, egress, name, table, differences }
  }

  test('is content with what is right, up and down', async () => {
    const { host, differences } = await onePod()
    expect(differences()).toEqual([])
    await host.tearDownPod(web)
    expect(differences({ pods: [] })).toEqual([])
  })

  type Pod = Awaited<ReturnType<typeof onePod>>
  type Harm = [string, (pod: Pod) => unknown, RegExp]
  const ofDatapath: Harm[] =
    datapath === 'bridge'
      ? [
          ['a link off the bridge', ({ link }) => run('ip', 'link', 'set', link, 'nomaster'), /not a port/],
          ['a gateway that is gone', () => run('ip', 'addr', 'flush', 'dev', 'cbr0'), /lacks 10.88.0.1/],
        ]
      : [
          ['a way that is gone', () => run('ip', 'route', 'del', '10.88.0.2'), /0 routes lead to 10.88.0.2/],
          ['a link that speaks ARP', ({ link }) => run('ip', 'link', 'set', link, 'arp', 'on'), /speaks ARP/],
          [
            'a neighbour that is gone',
            ({ link }) => run('ip', 'neigh', 'del', '10.88.0.2', 'dev', link),
            /does not know the neighbour 10.88.0.2/,
          ],
          [
            'a gateway that is gone',
            () => run('ip', 'addr', 'del', '10.88.0.1/32', 'dev', 'lo'),
            /lo lacks 10.88.0.1/,
          ],
        ]
  const ofBoth: Harm[] = [
    ['a link that is gone', ({ link }) => run('ip', 'link', 'del', link), /its link is gone/],
    ['a link that is down', ({ link }) => run('ip', 'link', 'set', link, 'down'), /is down/],
    [
      'an address that is gone',
      ({ name }) => run('ip', '-n', name, 'addr', 'flush', 'dev', 'eth0'),
      /no address, not/,
    ],
    [
      'a default route that is gone',
      ({ name }) => run('ip', '-n', name, 'route', 'del', 'default'),
      /no default route/,
    ],
    [
      'a loopback that is down',
      ({ name }) => run('ip', '-n', name, 'link', 'set', 'lo', 'down'),
      /loopback is down/,
    ],
    [
      'a limit that is gone',
      ({ link }) => run('tc', 'qdisc', 'del', 'dev', link, 'root'),
      /receives is limited to undefined/,
    ],
    [
      'a way to the limit that is gone',
      ({ link }) => run('tc', 'qdisc', 'del', 'dev', link, 'ingress'),
      /sends is limited to undefined/,
    ],
    ['rules that are gone', () => run('nft', 'flush', 'ruleset'), /its nft table is gone/],
    [
      'a port that is not published',
      ({ table }) => run('nft', 'flush', 'map', 'inet', table, 'ports4'),
      /8080\/tcp .* is not published[\s\S]*ports4 was emptied/,
    ],
    [
      'a table of nobody',
      () => run('nft', 'add', 'table', 'inet', 'podwire-old'),
      /table podwire-old is left/,
    ],
    [
      'a route of nobody',
      ({ link }) => run('ip', 'route', 'add', '10.88.0.99/32', 'dev', link),
      /route to 10.88.0.99/,
    ],
    [
      'a namespace that is gone',
      ({ name }) => run('ip', 'netns', 'del', name),
      /network namespace .* is gone/,
    ],
    [
      'an address that is there twice',
      () => run('ip', 'addr', 'add', '10.88.0.2/32', 'dev', 'lo'),
      /10.88.0.2 is there 2 times/,
    ],
    ['a namespace of nobody', () => run('ip', 'netns', 'add', 'nobody'), /\/run\/netns\/nobody is left/],
    [
      'a link of nobody',
      () => run('ip', 'link', 'add', 'pw0123456789ab', 'type', 'bridge'),
      /pw0123456789ab \(no alias\) is left/,
    ],
    [
      'a claim of nobody',
      ({ stateDir }) => symlinkSync('nobody', join(stateDir, 'plugins/kubenet/addresses/10.88.0.77')),
      /claim on 10.88.0.77 by nobody is left/,
    ],
    [
      'a lock file of nobody',
      ({ stateDir }) => {
        mkdirSync(join(stateDir, 'locks'), { recursive: true })
        writeFileSync(join(stateDir, 'locks/x.lock'), '')
      },
      /x.lock is left/,
    ],
    [
      'a half-written record',
      ({ stateDir }) => writeFileSync(join(stateDir, 'sandboxes/.1.0123abcd.tmp'), ''),
      /tmp is left/,
    ],
    [
      "kubenet's record that is gone",
      ({ stateDir }) => {
        const dir = join(stateDir, 'plugins/kubenet/pods')
        for (const file of readdirSync(dir)) rmSync(join(dir, file))
      },
      /kubenet has no record/,
    ],
    [
      'a neighbour of nobody',
      ({ link }) =>
        run(
          'ip',
          'neigh',
          'add',
          '10.88.0.99',
          'lladdr',
          '0a:58:0a:58:00:63',
          'dev',
          link,
          'nud',
          'permanent',
        ),
      /neighbour 10.88.0.99/,
    ],
  ]
  // What is no data path's own is tried once.
  test.each<Harm>([...ofDatapath, ...(datapath === 'routed' ? ofBoth : [])])(
    'tells of %s',
    async (_name, harm, text) => {
      const pod = await onePod()
      harm(pod)
      expect(pod.differences().join('\n')).toMatch(text)
      for (const undo of [
        ['netns', 'del', 'nobody'],
        ['link', 'del', 'pw0123456789ab'],
        ['addr', 'del', '10.88.0.2/32', 'dev', 'lo'],
      ])
        try {
          run('ip', ...undo)
        } catch {
          // Another harm.
        }
    },
  )

  test('tells of a pod that was acknowledged down and is there, and of one with other settings', async () => {
    const { pod, differences } = await onePod()
    expect(differences({ pods: [] }).join('\n')).toMatch(
      /record of pod default\/web is left, ready[\s\S]*published port \* 8080/,
    )
    const policy = { ingress: { default: 'deny' } } as const
    const changed = { ...pod, ports: [], bandwidth: { ingress: 10_000_000 }, policy }
    const other = differences({ pods: [changed] }).join('\n')
    expect(other).toMatch(/its record has the ports/)
    expect(other).toMatch(/its record has another policy/)
    expect(other).toMatch(/kubenet's record has another policy/)
    expect(other).toMatch(/still led through an ifb/)
    expect(other).toMatch(/published port .* is left/)
  })
})
