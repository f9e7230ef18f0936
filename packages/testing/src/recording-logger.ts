import type { Logger } from '@podwire/api'

/** One line that was logged. */
export interface LogEntry {
  readonly level: keyof Logger
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
}

/** A {@link Logger} that keeps what it is told. */
export interface RecordingLogger extends Logger {
  readonly entries: readonly LogEntry[]
  /** The messages, of one level or of all. */
  messages(level?: keyof Logger): string[]
}

/** Makes a {@link RecordingLogger}. */
export function recordingLogger(): RecordingLogger {
  const entries: LogEntry[] = []
  const record =
    (level: keyof Logger): Logger[keyof Logger] =>
    (message, details = {}) => {
      entries.push({ level, message, details })
    }
  return {
    entries,
    messages: (level) =>
      entries.filter((entry) => level === undefined || entry.level === level).map((entry) => entry.message),
    debug: record('debug'),
    info: record('info'),
    warn: record('warn'),
    error: record('error'),
  }
}
