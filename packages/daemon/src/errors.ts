import { defineErrors, messageOf, podKey, printable } from '@podwire/api'

/** All that the daemon says by itself; what a host says comes with the host's own codes. */
export const errors = defineErrors({
  // The start
  SOCKET_UNUSABLE: {
    message: ({ socket }: { socket: string }, cause: unknown) =>
      `Can't listen at ${printable(socket)}: ${messageOf(cause)}`,
    remedy: 'Run as root, or give a directory of yours with --state-dir.',
  },
  SOCKET_PATH_TOO_LONG: {
    message: ({ socket, bytes }: { socket: string; bytes: number }) =>
      `The path of the socket has ${bytes} bytes, and the kernel takes 107: ${printable(socket)}`,
    remedy: 'Give a shorter directory with --state-dir.',
    exitCode: 2,
  },
  UNKNOWN_GROUP: {
    message: ({ group }: { group: string }) => `There is no group ${printable(group)} in /etc/group`,
    remedy: 'Give one of those there, or the number of a group.',
    exitCode: 2,
  },

  // The configuration
  STATE_DIR_CHANGED: {
    message: ({ from, to }: { from: string; to: string }) =>
      `The configuration names another state directory, ${printable(to)}, and this daemon works on ${printable(from)}`,
    remedy: 'Restart the daemon for that, or leave stateDir as it was.',
    exitCode: 2,
  },
  CLUSTER_CHANGED: {
    message: () =>
      'The configuration says something else of the cluster, and this daemon is part of it as it was',
    remedy: 'Restart the daemon for that, or leave cluster as it was.',
    exitCode: 2,
  },

  // The cluster
  NOT_IN_CLUSTER: {
    message: ({ reason }: { reason: string }) =>
      `This node takes no new pods, as it has no pod CIDR of its cluster: ${printable(reason)}`,
    remedy: 'It joins again by itself. See: podwire cluster status',
  },

  // What clients ask
  INVALID_REQUEST: {
    message: ({ problems }: { problems: readonly string[] }) =>
      `Not a request that is understood: ${problems.join('; ')}`,
    remedy: 'See /openapi.json.',
    exitCode: 2,
  },
  NO_SUCH_ROUTE: {
    message: ({ method, path }: { method: string; path: string }) =>
      `There is nothing at ${printable(method)} ${printable(path)}`,
    remedy: 'See /openapi.json.',
    exitCode: 2,
  },
  POD_NOT_FOUND: {
    message: ({ pod }: { pod: { namespace: string; name: string } }) =>
      `This host has no pod ${printable(podKey(pod))}`,
    remedy: 'See what there is at /v1/pods.',
  },
  UNKNOWN_OPERATION: {
    message: ({ id }: { id: string }) => `No operation ${printable(id)} runs`,
    remedy: 'It has ended, or was never begun.',
  },
  OPERATION_ABORTED: {
    message: ({ why }: { why: 'asked' | 'gone' }) =>
      why === 'asked'
        ? 'The operation was aborted, as its client asked'
        : 'The operation was aborted, as its client is gone',
  },
  DAEMON_STOPPING: {
    message: () => 'The daemon is stopping and takes no new work',
    remedy: 'Ask again once it has been started again.',
  },
  TOO_MANY_STREAMS: {
    message: ({ most }: { most: number }) => `${most} clients follow the events already`,
    remedy: 'End one of them.',
  },
})
