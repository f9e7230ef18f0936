import { isPodwireError } from '@podwire/api'

// What a client may do about it decides: 409 ask again or look, 503 wait, 4xx ask for something else.
const ofCodes: Readonly<Record<string, number>> = {
  POD_NOT_FOUND: 404,
  UNKNOWN_POD: 404,
  UNKNOWN_SANDBOX: 404,
  UNKNOWN_OPERATION: 404,
  NO_SUCH_ROUTE: 404,
  POD_EXISTS: 409,
  POD_LOCKED: 409,
  SANDBOX_ID_TAKEN: 409,
  NETNS_EXISTS: 409,
  NETNS_CONFLICT: 409,
  NETNS_GONE: 409,
  OPERATION_ABORTED: 409,
  DAEMON_STOPPING: 503,
  NOT_IN_CLUSTER: 503,
  TOO_MANY_STREAMS: 503,
  STATE_UNUSABLE: 507,
  DEADLINE_EXCEEDED: 504,
}

/** The HTTP status of an error. */
export function statusOf(error: unknown): number {
  if (!isPodwireError(error)) return 500
  return ofCodes[error.code] ?? (error.exitCode === 2 ? 400 : 500)
}
