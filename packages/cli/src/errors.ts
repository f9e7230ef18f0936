import { describeValue, PodwireError } from '@podwire/api'

// What this command line says by itself: one function for each code.

export function usageError({ what, value, expected }: { what: string; value: string; expected: string }) {
  return new PodwireError({
    code: 'USAGE',
    message: `${what}: ${describeValue(value)} is not understood; expected ${expected}`,
    details: { what, value, expected },
    exitCode: 2,
  })
}

export function fileExists({ file }: { file: string }) {
  return new PodwireError({
    code: 'FILE_EXISTS',
    message: `${file} exists already. Edit it, or write over it with --force.`,
    details: { file },
    exitCode: 2,
  })
}

export function commandNotStarted({ command, cause }: { command: string; cause: unknown }) {
  return new PodwireError({
    code: 'COMMAND_NOT_STARTED',
    message: `${command} could not be started: ${cause instanceof Error ? cause.message : String(cause)}`,
    details: { command },
    cause,
  })
}

export function notReady({ plugin, reason }: { plugin: string; reason: string }) {
  return new PodwireError({
    code: 'NOT_READY',
    message: `Network plugin "${plugin}" can't set pods up: ${reason}`,
    details: { plugin, reason },
  })
}

export function noSuchPod({ pod }: { pod: string }) {
  return new PodwireError({
    code: 'NO_SUCH_POD',
    message: `There is no pod ${pod}. Set it up with: podwire up ${pod}`,
    details: { pod },
  })
}

export function cniUsage() {
  return new PodwireError({
    code: 'CNITOOL_USAGE',
    message: `podwire cnitool add|check|del NETWORK NETNS, or gc|status|version NETWORK
  NETCONFPATH  the directory of network configurations (default: /etc/cni/net.d)
  CNI_PATH     where plugins are, separated by colons
  CNI_ARGS     KEY=VALUE;KEY=VALUE for the plugins
  CAP_ARGS     capability arguments, as JSON
  CNI_IFNAME   the interface inside (default: eth0); also -i`,
    exitCode: 1,
  })
}
