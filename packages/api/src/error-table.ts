import { defineErrors, printable } from './errors.ts'

/** All that this package can say. */
export const errors = defineErrors({
  INVALID_BANDWIDTH: {
    message: ({ source, quantity }: { source: string; quantity: string }) =>
      `${source}: "${printable(quantity)}" is not a bandwidth`,
    remedy: 'Give bits per second from 1k to 1P, such as 512k, 10M or 1Gi.',
    exitCode: 2,
  },
  INVALID_PLUGIN_NAME: {
    message: ({ pluginName, problems }: { pluginName: string; problems: readonly string[] }) =>
      `"${printable(pluginName)}" can't name a plugin package: ${problems.join('; ')}`,
    remedy: 'Use [prefix/]name in lower case.',
    exitCode: 2,
  },
  POD_IP_NOT_FOUND: {
    message: (about: { netns: string; interfaceName: string; failures: readonly string[] }) =>
      `No address on ${about.interfaceName} in ${about.netns}: ${about.failures.join('; ')}`,
  },
})
