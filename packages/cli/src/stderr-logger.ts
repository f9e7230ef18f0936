import type { Logger } from '@podwire/api'

/** Warnings and errors go to stderr; with `verbose` everything does, with its details. */
export function stderrLogger(verbose: boolean): Logger {
  const write = (level: keyof Logger) => (message: string, details?: Readonly<Record<string, unknown>>) => {
    const shown = verbose && details ? ` ${JSON.stringify(details)}` : ''
    console.error(`podwire: ${level}: ${message}${shown}`)
  }
  const quiet = () => {}
  return {
    debug: verbose ? write('debug') : quiet,
    info: verbose ? write('info') : quiet,
    warn: write('warn'),
    error: write('error'),
  }
}
