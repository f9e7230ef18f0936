import { defineErrors, describeValue, messageOf } from '@podwire/api'

/** All that this command line says by itself. */
export const errors = defineErrors({
  USAGE: {
    message: (about: { what: string; value: string; expected: string }) =>
      `${about.what}: ${about.value === '' ? 'nothing is given' : `${describeValue(about.value)} is not understood`}; expected ${about.expected}`,
    exitCode: 2,
  },
  FLAG_WITHOUT_USE: {
    message: (about: { flag: string; of: string; is: string }) =>
      `${about.flag} says nothing with ${about.is}: it is of ${about.of}`,
    remedy: ({ flag, of }) => `Leave ${flag} out, or give ${of}.`,
    exitCode: 2,
  },
  FLAGS_CONTRADICT: {
    message: (about: { one: string; other: string; why: string }) =>
      `${about.one} and ${about.other} contradict each other: ${about.why}`,
    remedy: 'Give one of the two.',
    exitCode: 2,
  },
  UNLIKELY_HOST: {
    message: ({ flag, host, meant }: { flag: string; host: string; meant: string }) =>
      `${flag}: ${describeValue(host)} would be the name of a host; did you mean ${meant}?`,
    remedy: ({ host }) => `A host that is called so is written with a dot at its end: ${host}.`,
    exitCode: 2,
  },

  // Pods
  NO_FLOWS_OF_POD: {
    message: ({ pod }: { pod: string }) => `The daemon has no pod ${pod}, and remembers no flow of one`,
    remedy: 'See what there is with: podwire ps',
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

  // Plugin packages
  NO_SUCH_PACKAGE: {
    message: ({ name }: { name: string }) => `The registry has no ${name}`,
    remedy: 'See what there is with: podwire plugin search',
  },
  REGISTRY_FAILED: {
    message: ({ what, reason }: { what: string; reason: string }) =>
      `npm could not ask the registry for ${what}: ${reason}`,
    remedy: 'Try again, and see that the network and the registry that npm is configured with are there.',
  },
  NOT_USABLE: {
    message: (about: { name: string; version: string; problem: string; instead?: string }) =>
      `${about.name}@${about.version} can't be used: ${about.problem}. Nothing was installed`,
    remedy: ({ name, instead }) =>
      instead === undefined
        ? 'It has no version that this podwire can use: update podwire, or ask its author.'
        : `Update podwire, or install the newest version for this one: podwire plugin add ${name}@${instead}`,
  },
  INSTALL_FAILED: {
    message: ({ command, reason }: { command: string; reason: string }) => `${command} failed: ${reason}`,
    remedy: 'The configuration was left as it is. What the package manager printed says why.',
  },
  PLUGIN_IN_USE: {
    message: ({ name, file }: { name: string; file: string }) =>
      `"${name}" is the network plugin of ${file}, and pods could neither be set up nor torn down without it`,
    remedy: 'Tear the pods down, and name another networkPlugin in the configuration first.',
    exitCode: 2,
  },
  NOT_INSTALLED: {
    message: ({ name, dir }: { name: string; dir: string }) => `${name} is not installed in ${dir}`,
    remedy: 'See what is with: podwire plugins',
  },

  NOT_A_PLUGIN_PACKAGE: {
    message: ({ dir, reason }: { dir: string; reason: string }) => `${dir} can't be tried: ${reason}`,
    exitCode: 2,
  },
  TRIAL_ENDED: {
    message: ({ how }: { how: string }) =>
      `The process that tried the plugin ended before it was done: ${how}`,
    remedy: 'It needs root, or user namespaces that the kernel allows; what it printed is above.',
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

  BESIDE_DAEMON: {
    message: ({ pid, stateDir }: { pid: number; stateDir: string }) =>
      `A daemon (process ${pid}) works on ${stateDir}, and what it is just making would be taken away`,
    remedy: 'Leave it to the daemon: without --no-daemon.',
    exitCode: 2,
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

  // Container runtimes
  CNI_FILE: {
    message: ({ file, what }: { file: string; what: 'read' | 'written' }, cause: unknown) =>
      `${file} can't be ${what}: ${messageOf(cause)}`,
    remedy:
      'It takes root where container runtimes are root’s; --bin-dir and --conf-dir name other directories.',
  },
  CNI_NOT_OURS: {
    message: ({ file }: { file: string }) =>
      `${file} was not written by podwire cni install, and is left alone`,
    remedy:
      'Move it away, or name another directory with --bin-dir or --conf-dir, or another network with --name.',
    exitCode: 2,
  },
  CNI_NETWORK_TAKEN: {
    message: ({ name, file }: { name: string; file: string }) =>
      `${file} is a network called ${name} already, and names have to be different`,
    remedy: 'Take it away, or give another name with --name.',
    exitCode: 2,
  },
  CNI_CHAIN_VERSIONS: {
    message: ({ chain }: { chain: readonly string[] }) =>
      `There is no version of CNI that all of ${chain.join(', ')} speak`,
    remedy: 'Update them: they are from the package containernetworking-plugins.',
  },
  CNI_CHAINED_MISSING: {
    message: ({ type, dir }: { type: string; dir: string }) => `There is no plugin ${type} in ${dir}`,
    remedy:
      'Install it there (Debian: containernetworking-plugins, in /usr/lib/cni), or name where plugins are with --bin-dir.',
    exitCode: 2,
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
