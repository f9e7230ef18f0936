import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Node, openNode } from '../../src/node/node.ts'
import { prepare } from '../../src/node/repair.ts'
import { defaultOptions } from '../../src/options.ts'
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

  beforeEach(async () => {
    await machine.start({ podCIDR: '10.88.0.0/16' })
    await machine.pod('a', publishing(8080))
    const [own, other] = [await open(), await open()]
    await other.build()
    context = {
      ...(await prepare(own)),
      records: {
        ...own.records,
        // The last moment at which the record still tells of the change.
        write(record) {
          if (!record.changing) {
            run('nft', ['delete', 'table', 'inet', machine.table])
            expect(other.firewall.ensure()).toBe(false)
          }
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
    let replaced = 0
    const policies: SetUpContext['policies'] = {
      ...context.policies,
      async replace() {
        if (replaced++ === 0) throw refusal
      },
    }
    const annotations = { changed: 'yes' }
    const pod = machine.sandbox('a', { ...publishing(8081), annotations })
    await expect(setUpPod({ ...context, policies }, pod, never())).rejects.toMatchObject({ cause: refusal })
    expect(published()).toEqual([8080])
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
