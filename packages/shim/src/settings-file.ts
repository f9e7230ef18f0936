/** What the file of settings beside an installed shim says. */
export interface ShimSettings {
  /** The daemon's socket; an absolute path of at most 107 bytes. */
  readonly socket?: string
  /** The directory of the journal; an absolute path. */
  readonly journal?: string
  /** How long the shim waits. Milliseconds; default: 110 s for ADD and DEL, 10 s for all else. */
  readonly deadlineMs?: number
}

/** Where the settings of a shim are: beside it, under its name. */
export function shimSettingsPath(shim: string): string {
  return `${shim}.conf`
}

/** The content of that file. */
export function formatShimSettings({ socket, journal, deadlineMs }: ShimSettings): string {
  const lines = Object.entries({ socket, journal, deadline: deadlineMs })
  return lines.flatMap(([key, value]) => (value === undefined ? [] : [`${key} ${value}\n`])).join('')
}
