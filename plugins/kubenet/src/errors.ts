import { messageOf, type PodRef, PodwireError, type PortMapping, podKey } from '@podwire/api'

export const podCidrInvalid = (podCidr: string, reason: string) =>
  new PodwireError({
    code: 'INVALID_POD_CIDR',
    message: `pod CIDR "${podCidr}" can't be used: ${reason}. Give one such as 10.88.0.0/16, or 10.88.0.0/16,fd88::/64.`,
    details: { podCidr, reason },
    exitCode: 2,
  })

export const podCidrUnknown = () =>
  new PodwireError({
    code: 'POD_CIDR_UNKNOWN',
    message: 'kubenet has no pod CIDR yet: set podCIDR in the config, or wait for the event pod-cidr-change.',
  })

export const nonMasqueradeCidrInvalid = (nonMasqueradeCIDR: string) =>
  new PodwireError({
    code: 'INVALID_NON_MASQUERADE_CIDR',
    message: `nonMasqueradeCIDR "${nonMasqueradeCIDR}" is no CIDR: give one such as 10.0.0.0/8, or several separated by commas.`,
    details: { nonMasqueradeCIDR },
    exitCode: 2,
  })

export const noUsableAddress = (address: string, reason: string) =>
  new PodwireError({
    code: 'ADDRESS_NOT_USABLE',
    message: `the address "${address}" that the pod asks for can't be given: ${reason}. Change the annotation podwire.dev/ip.`,
    details: { address, reason },
  })

export const addressTaken = (address: string, owner: string) =>
  new PodwireError({
    code: 'ADDRESS_IN_USE',
    message: `the address ${address} that the pod asks for belongs to ${owner}: choose another, or tear that pod down.`,
    details: { address, owner },
  })

export const addressesExhausted = (network: string, inUse: number, owners: readonly string[]) =>
  new PodwireError({
    code: 'ADDRESSES_EXHAUSTED',
    message:
      `no address is left in ${network}: ${inUse} are in use, by ${owners.slice(0, 5).join(', ')}` +
      `${owners.length > 5 ? ` and ${owners.length - 5} more pods` : ''}. Tear pods down, or use a larger pod CIDR.`,
    details: { network, inUse, owners: owners.slice(0, 20) },
  })

export const hostPortTaken = ({ hostPort, protocol, hostIP }: PortMapping, owner: string) =>
  new PodwireError({
    code: 'HOST_PORT_IN_USE',
    message: `host port ${hostIP ? `${hostIP}:` : ''}${hostPort}/${protocol} is in use by ${owner}: publish another one.`,
    details: { hostPort, protocol, hostIP, owner },
  })

export const hostPortWithoutAddress = ({ hostPort, protocol, hostIP }: PortMapping) =>
  new PodwireError({
    code: 'HOST_PORT_FAMILY',
    message: `host port ${hostIP}:${hostPort}/${protocol} can't lead to the pod: it has no address of that family. Use another hostIP, or a dual-stack pod CIDR.`,
    details: { hostPort, protocol, hostIP },
    exitCode: 2,
  })

export const firewallUnavailable = (reason: string, cause?: unknown) =>
  new PodwireError({
    code: 'FIREWALL_UNAVAILABLE',
    message: `host ports can't be published: ${reason}.`,
    details: { reason },
    cause,
  })

export const shapingUnsupported = (what: string, cause: unknown) =>
  new PodwireError({
    code: 'SHAPING_UNSUPPORTED',
    message: `the pod's ${what} bandwidth can't be limited: ${messageOf(cause)}. The kernel needs sch_tbf, and for egress also ifb, sch_ingress, cls_u32 and act_mirred.`,
    details: { direction: what },
    cause,
  })

export const sysctlRefused = (path: string, wanted: string, cause: unknown) =>
  new PodwireError({
    code: 'SYSCTL_REFUSED',
    message: `${path.replaceAll('/', '.')} can't be set to ${wanted} (${messageOf(cause)}): set it outside, as root of the host.`,
    details: { path, wanted },
    cause,
  })

export const bridgeTaken = (bridge: string, kind: string | undefined) =>
  new PodwireError({
    code: 'BRIDGE_NAME_TAKEN',
    message: `${bridge} exists and is a ${kind ?? 'physical'} link, not a bridge: name another one with plugins.kubenet.bridge.`,
    details: { bridge, kind },
    exitCode: 2,
  })

export const bridgeFull = (cause: unknown) =>
  new PodwireError({
    code: 'BRIDGE_FULL',
    message:
      'the bridge has no port left, as Linux gives it 1023: tear pods down, or run another host with a bridge of its own.',
    cause,
  })

export const mtuTooSmall = (mtu: number, least: number) =>
  new PodwireError({
    code: 'MTU_TOO_SMALL',
    message: `an MTU of ${mtu} bytes is too small for IPv6, which needs ${least}: set mtu to ${least} or more, or leave IPv6 out of podCIDR.`,
    details: { mtu, least },
  })

export const interfaceTaken = (name: string, netns: string, cause: unknown) =>
  new PodwireError({
    code: 'INTERFACE_TAKEN',
    message: `the network namespace ${netns} has an interface ${name} already, which kubenet did not make: remove it, or give the pod a fresh namespace.`,
    details: { name, netns },
    cause,
  })

export const podDiffers = (pod: PodRef, differences: readonly string[]) =>
  new PodwireError({
    code: 'POD_NETWORK_CHANGED',
    message: `the network of pod ${podKey(pod)} is not as it was set up: ${differences.join('; ')}. Set the pod up again.`,
    details: { pod: podKey(pod), sandboxId: pod.sandboxId, differences },
  })

export const recordUnreadable = (file: string, cause: unknown) =>
  new PodwireError({
    code: 'RECORD_UNREADABLE',
    message: `the pod record ${file} can't be read: ${messageOf(cause)}.`,
    details: { file },
    cause,
  })

export const stepFailed = (pod: PodRef, step: string, cause: unknown) =>
  new PodwireError({
    code: 'SETUP_STEP_FAILED',
    message: `${step} of pod ${podKey(pod)}: ${messageOf(cause)}`,
    details: { pod: podKey(pod), sandboxId: pod.sandboxId, step },
    cause,
  })
