import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Node, openNode } from '../../src/node/node.ts'
import { prepare } from '../../src/node/repair.ts'
import { defaultOptions } from '../../src/options.ts'
import { podDifferences } from '../../src/pods/check.ts'
import type { SetUpContext } from '../../src/pods/context.ts'
import { setUpPod } from '../../src/pods/set-up.ts'
import { describeIsolated, never, portsIn, run, useMachine } from '../support/machine.ts'

const publishing = (hostPort: number) => ({
  portMappings: [{ hostPort, containerPort: 80, protocol: 'tcp' as const }],
})

describeIsolated('a change of a pod, while another process makes the tables anew', () => {
  const machine = useMachine()
  let context: SetUpContext
  let nodes: Node[] = []
  let makeAnew: () => void

  beforeEach(async () => {
    await machine.start({ podCIDR: '10.88.0.0/16' })
    await machine.pod('a', publishing(8080))
    const [own, other] = [await open(), await open()]
    await other.build()
    makeAnew = () => {
      run('nft', ['delete', 'table', 'inet', machine.table])
      expect(other.firewall.ensure()).toBe(false)
    }
    context = {
      ...(await prepare(own)),
      records: {
        ...own.records,
        // The last moment at which the record still tells of the change, and the first at which it is settled.
        settle(sandboxId) {
          makeAnew()
          own.records.settle(sandboxId)
          makeAnew()
        },
        write(record) {
          if (!record.changing) makeAnew()
          own.records.write(record)
        },
      },
    }
  })
  afterEach(async () => {
    for (const node of nodes) await node.close()
    nodes = []
  })

  async function open(): Promise<Node> {
    const log = { debug() {}, info() {}, warn() {}, error: (message: string) => expect.fail(message) }
    const node = openNode({
      options: { ...defaultOptions, repairInterval: 0 },
      stateDir: machine.stateDir,
      log,
      host: machine.host,
      init: { hairpinMode: 'hairpin-veth', nonMasqueradeCIDR: '10.0.0.0/8', mtu: 0 },
    })
    await node.setPodCidr('10.88.0.0/16')
    nodes.push(node)
    return node
  }

  const published = () =>
    portsIn(run('nft', ['-j', 'list', 'map', 'inet', machine.table, 'ports4'])).map(([key]) => key.concat[1])

  it('that fails leaves the ports as they were', async () => {
    const refusal = new Error('refused')
    const meanwhile: unknown[] = []
    let replaced = 0
    const policies: SetUpContext['policies'] = {
      ...context.policies,
      async replace() {
        if (replaced++ > 0) return
        // Whoever makes the tables anew meanwhile leaves nothing out that may be needed again.
        makeAnew()
        meanwhile.push(...published())
        throw refusal
      },
    }
    const annotations = { changed: 'yes' }
    const pod = machine.sandbox('a', { ...publishing(8081), annotations })
    await expect(setUpPod({ ...context, policies }, pod, never())).rejects.toMatchObject({ cause: refusal })
    expect(published()).toEqual([8080])
    // Nobody could have taken what it was to give away.
    expect(meanwhile.sort()).toEqual([8080, 8081])
  })

  it('that is done gives the former ports away, and no others', async () => {
    await setUpPod(context, machine.sandbox('a', publishing(8081)), never())
    expect(published()).toEqual([8081])
    expect(context.records.read('a')).not.toHaveProperty('withdrawing')
  })

  it('that was killed when it was done, and before the former ports were withdrawn, is told of and ended', async () => {
    const { records } = nodes[0]!
    records.write({
      ...records.read('a')!,
      changing: { ports: publishing(8081).portMappings, bandwidth: {}, annotations: {} },
    })
    makeAnew()
    records.settle('a')
    expect(records.read('a')).toMatchObject({
      ports: publishing(8081).portMappings,
      withdrawing: publishing(8080).portMappings,
    })
    const pod = machine.sandbox('a', publishing(8081))
    expect(await podDifferences(context, pod)).toEqual([
      'the host port 8080/tcp, which it has no longer, is still published',
    ])
    await setUpPod(context, pod, never())
    expect(published()).toEqual([8081])
  })

  it('that was cut short leaves nothing of what it had begun', async () => {
    const { records } = context
    const record = records.read('a')!
    records.write({
      ...record,
      changing: { ports: publishing(8081).portMappings, bandwidth: {}, annotations: {} },
    })
    await setUpPod(context, machine.sandbox('a', publishing(8082)), never())
    expect(published()).toEqual([8082])
  })
})
