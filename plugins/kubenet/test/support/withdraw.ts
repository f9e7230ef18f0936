// Withdraws ports as a process does that has made nothing itself. Arguments: the tables' name, the pod's address, its host ports.
import { openFirewall } from '../../src/firewall/firewall.ts'
import { portElements } from '../../src/firewall/port-elements.ts'

const [table = '', address = '', ...hostPorts] = process.argv.slice(2)
const ports = hostPorts.map((port) => ({
  hostPort: Number(port),
  containerPort: 80,
  protocol: 'tcp' as const,
}))
const firewall = openFirewall(
  () => table,
  () => [],
)
await firewall.change([], portElements({ addresses: [{ address }], ports }))
firewall.close()
