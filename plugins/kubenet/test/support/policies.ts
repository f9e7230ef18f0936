import type { Firewall } from '../../src/firewall/firewall.ts'
import type { Kernel } from '../../src/kernel/kernel.ts'
import { createPodLinks } from '../../src/ownership/pod-links.ts'
import { openStateId } from '../../src/ownership/state-id.ts'
import { openRecords } from '../../src/pods/records.ts'
import { createNaming } from '../../src/policy/naming.ts'
import type { PodOfRules } from '../../src/policy/pod-sets.ts'
import { createPolicies } from '../../src/policy/policies.ts'

interface PoliciesAt {
  readonly stateDir: string
  readonly firewall: Firewall
  readonly kernel: Kernel
  readonly peers?: readonly PodOfRules[]
}

/** The policies of a state directory's pods as another process has them: it answers nobody, and cuts no connections. */
export function openPolicies({ stateDir, firewall, kernel, peers = [] }: PoliciesAt) {
  const records = openRecords(stateDir)
  const { names } = createPodLinks(openStateId(stateDir).get)
  const naming = createNaming({
    log: { debug() {}, info() {}, warn() {}, error() {} },
    servers: [],
    stays: true,
    podNamed: records.named,
    podAt: () => undefined,
    peerNamed: () => undefined,
    admit() {},
    denied() {},
  })
  return createPolicies({
    ...{ firewall, stateDir, naming, ids: records.ids, read: records.read, hasLink: kernel.hasLink },
    linkOf: (sandboxId) => names(sandboxId).host,
    peers: () => peers,
    logGroup: () => 1,
    takeUpLog() {},
    past: { forget: async () => {}, cut: async () => {} },
  })
}
