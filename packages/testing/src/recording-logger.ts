import type { Logger } from '@podwire/api'

/** One line that was logged. */
export interface LogLine {
  readonly level: keyof Logger
  readonly message: string
  readonly details?: Readonly<Record<string, unknown>>
}

/** A logger that keeps what it is given. */
export interface RecordingLogger extends Logger {
  readonly lines: LogLine[]
}

export function createRecordingLogger(): RecordingLogger {
  const lines: LogLine[] = []
  const record = (level: keyof Logger) => (message: string, details?: Readonly<Record<string, unknown>>) =>
    void lines.push({ level, message, ...(details ? { details } : {}) })
  return { lines, debug: record('debug'), info: record('info'), warn: record('warn'), error: record('error') }
}
