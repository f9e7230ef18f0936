import { atLeast, type CniVersion } from './versions.ts'

/** Where a rule comes from, in one version of the spec. */
export interface Citation {
  /** `CNI 1.1.0, CNI operations › DEL` */
  readonly text: string
  readonly url: string
}

type Heading = readonly [since: CniVersion, title: string, anchor: string]

// The spec was written anew for 1.0.0, so that the same demand stands under different headings.
const headings = {
  overview: [
    ['0.3.1', 'CNI Plugin › Parameters', 'parameters'],
    ['1.0.0', 'Execution Protocol › Overview', 'overview-1'],
  ],
  parameters: [
    ['0.3.1', 'CNI Plugin › Parameters', 'parameters'],
    ['1.0.0', 'Execution Protocol › Parameters', 'parameters'],
  ],
  errors: [
    ['0.3.1', 'CNI Plugin › Result', 'result'],
    ['1.0.0', 'Execution Protocol › Errors', 'errors'],
  ],
  errorResult: [
    ['0.3.1', 'CNI Plugin › Result', 'result'],
    ['1.0.0', 'Result Types › Error', 'error'],
  ],
  errorCodes: [
    ['0.3.1', 'Well-known Error Codes', 'well-known-error-codes'],
    ['1.0.0', 'Result Types › Error', 'error'],
  ],
  add: [
    ['0.3.1', 'CNI Plugin › Parameters', 'parameters'],
    ['1.0.0', 'CNI operations › ADD', 'add-add-container-to-network-or-apply-modifications'],
  ],
  del: [
    ['0.3.1', 'CNI Plugin › Parameters', 'parameters'],
    ['1.0.0', 'CNI operations › DEL', 'del-remove-container-from-network-or-un-apply-modifications'],
  ],
  check: [
    ['0.4.0', 'CNI Plugin › Parameters', 'parameters'],
    ['1.0.0', 'CNI operations › CHECK', 'check-check-containers-networking-is-as-expected'],
  ],
  version: [
    ['0.3.1', 'CNI Plugin › Parameters', 'parameters'],
    ['1.0.0', 'CNI operations › VERSION', 'version-probe-plugin-version-support'],
  ],
  versionResult: [
    ['0.3.1', 'CNI Plugin › Parameters', 'parameters'],
    ['1.0.0', 'Result Types › Version', 'version-1'],
  ],
  status: [['1.1.0', 'CNI operations › STATUS', 'status-check-plugin-status']],
  gc: [['1.1.0', 'CNI operations › GC', 'gc-clean-up-any-stale-resources']],
  success: [
    ['0.3.1', 'CNI Plugin › Result', 'result'],
    ['1.0.0', 'Result Types › Success', 'success'],
    ['1.1.0', 'Result Types › ADD Success', 'add-success'],
  ],
  chain: [
    ['0.3.1', 'Network Configuration Lists', 'network-configuration-lists'],
    ['1.0.0', 'Result Types › Success', 'success'],
    ['1.1.0', 'Result Types › ADD Success', 'add-success'],
  ],
  lifecycle: [
    ['0.3.1', 'General considerations', 'general-considerations'],
    ['1.0.0', 'Execution of Network Configurations › Lifecycle & Ordering', 'lifecycle--ordering'],
  ],
  configuration: [
    ['0.3.1', 'Network Configuration', 'network-configuration'],
    ['1.0.0', 'Network configuration format › Plugin configuration objects', 'plugin-configuration-objects'],
  ],
  delegation: [
    ['0.3.1', 'IP Address Management (IPAM) Interface', 'ip-address-management-ipam-interface'],
    [
      '1.0.0',
      'Plugin Delegation › Delegated plugin execution procedure',
      'delegated-plugin-execution-procedure',
    ],
  ],
  delegatedProtocol: [
    ['0.3.1', 'IP Address Management (IPAM) Interface', 'ip-address-management-ipam-interface'],
    ['1.0.0', 'Plugin Delegation › Delegated Plugin protocol', 'delegated-plugin-protocol'],
  ],
  delegatedResult: [
    ['0.3.1', 'IP Address Management (IPAM) Interface', 'ip-address-management-ipam-interface'],
    ['1.0.0', 'Result Types › Delegated plugins (IPAM)', 'delegated-plugins-ipam'],
  ],
} as const satisfies Record<string, readonly Heading[]>

/** A section of the spec, or of the conventions beside it, whatever it is called in a version. */
export type Section = keyof typeof headings | 'cniArgs'

const repository = 'https://github.com/containernetworking/cni/blob'

/** Cites a section as it is called in `version`. */
export function cite(section: Section, version: CniVersion): Citation {
  if (section === 'cniArgs')
    return {
      text: `CNI ${version}, Conventions › CNI_ARGS`,
      url: `${repository}/spec-v${version}/CONVENTIONS.md#cni_args`,
    }
  const candidates: readonly Heading[] = headings[section]
  const [, title, anchor] = candidates.filter(([since]) => atLeast(version, since)).at(-1) ?? candidates[0]!
  return { text: `CNI ${version}, ${title}`, url: `${repository}/spec-v${version}/SPEC.md#${anchor}` }
}
