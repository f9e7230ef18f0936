import { defineErrors, errnoOf, messageOf, printable } from '@podwire/api'

/** All that this package says by itself; what a daemon says comes with the daemon's own codes. */
export const errors = defineErrors({
  DAEMON_NOT_RUNNING: {
    message: ({ socket }: { socket: string }, cause: unknown) =>
      `No daemon answers at ${printable(socket)}${cause === undefined ? '' : `: ${errnoOf(cause) === 'ENOENT' ? 'there is no such socket' : messageOf(cause)}`}`,
    remedy: 'Start one with: podwire daemon',
  },
  DAEMON_REFUSES: {
    message: ({ socket }: { socket: string }) =>
      `This user may not talk to the daemon at ${printable(socket)}`,
    remedy: 'Be its user or root, or of the group that was given to it: podwire daemon --group GROUP',
  },
  SOCKET_UNTRUSTED: {
    message: ({ socket, problem }: { socket: string; problem: string }) =>
      `The socket ${printable(socket)} can't be trusted: ${problem}`,
    remedy:
      'Whoever answers there could claim anything of the pods. Remove it, and start the daemon in a directory of its user.',
    exitCode: 2,
  },
  DAEMON_CONNECTION_LOST: {
    message: ({ what }: { what: string }, cause: unknown) =>
      `The daemon went away before it answered (${what}): ${messageOf(cause)}`,
    remedy: 'It may have done it or not. Ask again once it runs: doing it twice is the same as once.',
  },
  DAEMON_ANSWER: {
    message: ({ what, problem }: { what: string; problem: string }) =>
      `What answers at the socket is not a podwire daemon that this client understands (${what}): ${problem}`,
    remedy: 'Do the two have the same version? See: podwire --version',
  },
})
