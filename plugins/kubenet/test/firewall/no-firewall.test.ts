import { expect, it } from 'vitest'
import { noFirewall } from '../../src/firewall/no-firewall.ts'
import { portElements } from '../../src/firewall/port-elements.ts'
import { createHostPorts } from '../../src/ports/host-ports.ts'

const ports = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }]
const addresses = [{ address: '10.88.0.2' }]
const firewall = noFirewall('the kernel has no nf_tables')

it('without a firewall lets pods be, and refuses what would need one', async () => {
  expect(firewall.problem).toBe('the kernel has no nf_tables')
  const hostPorts = createHostPorts(firewall, () => undefined)
  await hostPorts.publish({ addresses, ports: [] }, { addresses, ports: [] })
  await hostPorts.withdraw({ addresses, ports }, { addresses, ports: [] })
  await expect(hostPorts.publish({ addresses, ports: [] }, { addresses, ports })).rejects.toMatchObject({
    code: 'FIREWALL_UNAVAILABLE',
    message: expect.stringContaining('the kernel has no nf_tables'),
  })
  for (const use of [firewall.ask, firewall.transact])
    expect(() => use()).toThrow(expect.objectContaining({ code: 'POLICY_UNAVAILABLE' }))
})

it('without a firewall nothing is missing, and nothing is there', async () => {
  firewall.apply()
  firewall.restore()
  firewall.restartRebuilds()
  expect([firewall.isIntact(), firewall.ensure(), firewall.cutOff]).toEqual([true, true, undefined])
  expect(portElements({ addresses, ports })).toHaveLength(1)
  expect([firewall.holds(), firewall.compare()]).toEqual([false, { missing: [], leftover: [] }])
  await firewall.change()
  await firewall.forgetFlows()
  await firewall.forgetConnections()
  firewall.onLoss().stop()
  firewall.remove()
  firewall.close()
})
