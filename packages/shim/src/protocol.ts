/** What the shim and the daemon agree on: `POST PATH`, whose body is CNI's environment and stdin. Sizes in bytes. */
export const CNI_DOOR = {
  path: '/v1/cni',
  /**
   * Each variable whose name begins with `CNI_` as `NAME=VALUE` and a NUL byte, one more NUL byte, then stdin as it is. The shim
   * sends the variables in the order of their bytes, at most {@link CNI_DOOR.maxVariables} of them.
   */
  contentType: 'application/vnd.podwire.cni',
  maxVariables: 256,
  /** Of all variables, the NUL byte behind each included. */
  maxEnvironmentBytes: 64 * 1024,
  maxStdinBytes: 1024 * 1024,
  /** Of the answer's body, which has a `Content-Length`, and is `application/json` where it isn't empty. */
  maxAnswerBytes: 4 * 1024 * 1024,
  /** The status of an answer for stdout. */
  done: 200,
  /** The status of a CNI error for stdout; any other status makes the shim answer by itself. */
  failed: 422,
} as const

/** Where the shim looks for the daemon, and keeps a DEL that it can't tell it, without a file of settings. */
export const SHIM_DEFAULTS = {
  socket: '/run/podwire/podwire.sock',
  journal: '/run/podwire/cni-journal',
} as const

/** The name of an entry of the journal: half of a SHA-256 of its content. What else is called there is unfinished. */
export const JOURNAL_ENTRY = /^[0-9a-f]{32}$/
