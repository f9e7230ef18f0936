import { defineErrors } from '@podwire/api'

/** What keeps the kit from starting. Each exits with 2: the plugin has not been judged. */
export const errors = defineErrors({
  CNI_TEST_TARGET: {
    exitCode: 2,
    message: ({ target, reason }: { target: string; reason: string }) => `Can't test ${target}: ${reason}`,
    remedy: 'Name an executable CNI plugin, or a file with a network configuration (list)',
  },
  CNI_TEST_CONFIG: {
    exitCode: 2,
    message: ({ file, reason }: { file: string; reason: string }) =>
      `The configuration ${file} is of no use: ${reason}`,
    remedy: 'It is a JSON object as the plugin gets it on stdin; name and cniVersion are filled in',
  },
  CNI_TEST_NO_CONFIG: {
    exitCode: 2,
    message: ({ type, known }: { type: string; known: readonly string[] }) =>
      `No configuration is known for plugins of type ${type}; there is one for ${known.join(', ')}`,
    remedy: 'Give one with --config FILE, such as {"ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}',
  },
  CNI_TEST_OPTION: {
    exitCode: 2,
    message: ({ what, value, known }: { what: string; value: string; known: readonly string[] }) =>
      `There is no ${what} ${value}. There are: ${known.join(', ')}`,
  },
  CNI_TEST_NO_NAMESPACES: {
    exitCode: 2,
    message: ({ reason }: { reason: string }) =>
      `Plugins are tested in namespaces of their own, and this machine refused: ${reason}`,
    remedy:
      'Run it as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces); unshare, nsenter and ip must be installed',
  },
  CNI_TEST_PREPARE: {
    exitCode: 2,
    message: ({ command, reason }: { command: string; reason: string }) =>
      `What prepares the test failed: ${reason} (${command})`,
  },
  CNI_TEST_NO_VERSION: {
    exitCode: 2,
    message: ({ versions, known }: { versions: readonly string[]; known: readonly string[] }) =>
      `The kit knows the versions ${known.join(', ')} of the spec; the configuration allows ${versions.join(', ') || 'none'}`,
  },
})
