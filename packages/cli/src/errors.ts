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
