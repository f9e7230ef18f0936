import { defineErrors, describeValue, messageOf } from '@podwire/api'

/** All that this command line says by itself. */
export const errors = defineErrors({
  USAGE: {
    message: (about: { what: string; value: string; expected: string }) =>
      `${about.what}: ${describeValue(about.value)} is not understood; expected ${about.expected}`,
    exitCode: 2,
  },

  // Configuration
  FILE_EXISTS: {
    message: ({ file }: { file: string }) => `${file} exists already`,
    remedy: 'Edit it, or write over it with --force.',
    exitCode: 2,
  },
  OTHER_CONFIGURATION: {
    message: ({ file, other }: { file: string; other: string }) =>
      `${file} would be a second configuration beside ${other}, and only one of them is read`,
    remedy: ({ other }) => `Edit ${other}, or remove it first.`,
    exitCode: 2,
  },

  // Pods
  POD_OR_ALL: {
    message: () => 'Give either a pod, as NAMESPACE/NAME, or --all',
    exitCode: 2,
  },
  NOT_READY: {
    message: ({ plugin, reason }: { plugin: string; reason: string }) =>
      `Network plugin "${plugin}" can't set pods up: ${reason}`,
  },
  NO_SUCH_POD: {
    message: ({ pod }: { pod: string }) => `There is no pod ${pod}`,
    remedy: ({ pod }) => `Set it up with: podwire up ${pod}`,
  },

  // Commands in pods
  COMMAND_NOT_FOUND: {
    message: ({ command }: { command: string }) => `${command}: command not found`,
  },
  COMMAND_NOT_EXECUTABLE: {
    message: ({ command }: { command: string }) => `${command}: permission denied`,
    remedy: 'Is it an executable file?',
  },
  COMMAND_NOT_STARTED: {
    message: ({ command }: { command: string }, cause: unknown) =>
      `${command} could not be started: ${messageOf(cause)}`,
  },
  NAME_SERVERS_NOT_GIVEN: {
    message: ({ reason }: { reason: string }) =>
      `--dns: the command can't get a resolv.conf of its own: ${reason}`,
    remedy: 'It needs CAP_SYS_ADMIN, and unshare and mount of util-linux.',
  },

  // This process
  INTERRUPTED: {
    message: ({ signal }: { signal: NodeJS.Signals }) => `interrupted by ${signal}; what was begun is undone`,
  },
  PROCESS_EXIT: {
    message: ({ by, code }: { by: string | undefined; code: unknown }) =>
      `${by ?? 'A plugin or a configuration'} called process.exit(${code === undefined ? '' : describeValue(code)}), which would end the host in the middle of its work`,
    remedy: 'A plugin says that it failed by throwing an error.',
  },
  UNCAUGHT: {
    message: ({ by }: { by: string | undefined }, cause: unknown) =>
      `An error that nobody caught${by ? `, from ${by}` : ''}: ${messageOf(cause)}`,
  },

  CNITOOL_USAGE: {
    message: () => `podwire cnitool add|check|del NETWORK NETNS, or gc|status|version NETWORK
  NETCONFPATH  the directory of network configurations (default: /etc/cni/net.d)
  CNI_PATH     where plugins are, separated by colons
  CNI_ARGS     KEY=VALUE;KEY=VALUE for the plugins
  CAP_ARGS     capability arguments, as JSON
  CNI_IFNAME   the interface inside (default: eth0); also -i`,
  },
})
