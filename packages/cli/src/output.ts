import { errnoOf, printable } from '@podwire/api'

// All that this command line prints goes through `write`: the one place where text from plugins, records and packages is
// made safe for a terminal.

type Name = 'stdout' | 'stderr'
type Write = (text: string, done: (error?: Error | null) => void) => unknown

interface Target {
  readonly write: Write
  /** Resolves when all that was written is out. */
  drained: Promise<void>
  failure: Error | undefined
}

const targets = new Map<Name, Target>()
let colour = true

/** A line to stdout. */
export function print(text: string): void {
  write('stdout', `${text}\n`)
}

/** Text to stdout as it is, without a newline at its end. */
export function printRaw(text: string): void {
  write('stdout', text)
}

export function printJson(value: unknown, indent?: number): void {
  // A control character that JSON lets stand becomes `\u009b`, which JSON reads as the same.
  write('stdout', `${JSON.stringify(value, null, indent)}\n`)
}

/** Lines of aligned columns, the first row being the heads; bold heads on a terminal. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const [head = '', ...lines] = tableLines(rows)
  write('stdout', `${head}\n`, { bold: hasColour() })
  if (lines.length > 0) print(lines.join('\n'))
}

function tableLines([heads = [], ...rows]: readonly (readonly string[])[]): string[] {
  // A newline in a cell would pass for a row.
  const cells = [heads, ...rows].map((row) => row.map((cell) => printable(cell).replaceAll('\n', '\\n')))
  const widths = heads.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

const enter = '\u001b[?1049h\u001b[?25l'
const leave = '\u001b[?25h\u001b[?1049l'
const [home, clearLine, clearBelow] = ['\u001b[H', '\u001b[K', '\u001b[J']

/** A terminal's screen that is drawn again and again, and given back as it was. */
export interface Screen {
  /** Draws a table below a line, as much as there is room for. */
  draw(title: string, rows: readonly (readonly string[])[]): void
  leave(): void
}

export function enterScreen(): Screen {
  write('stdout', '', { control: [enter, ''] })
  return {
    draw: (title, rows) => {
      const { rows: height = 24, columns: width = 80 } = process.stdout
      const shown = [title, ...tableLines(rows)].slice(0, height - 1).map((one) => one.slice(0, width))
      write('stdout', '', { control: [home, ''] })
      for (const one of shown) write('stdout', one, { control: ['', `${clearLine}\r\n`] })
      write('stdout', '', { control: ['', clearBelow] })
    },
    leave: () => write('stdout', '', { control: ['', leave] }),
  }
}

/** A line to stderr: what a person should know, and no program reads. */
export function printNote(text: string): void {
  write('stderr', `podwire: ${text}\n`)
}

/** A line to stderr as it is. */
export function printError(text: string): void {
  write('stderr', `${text}\n`)
}

/** `--no-color` */
export function withoutColour(): void {
  colour = false
}

function hasColour(): boolean {
  const { NO_COLOR, TERM } = process.env
  return colour && !NO_COLOR && TERM !== 'dumb' && process.stdout.isTTY
}

/**
 * Keeps stdout for this module: what anybody else in this process writes there goes to stderr, so that a script that
 * reads what a command prints never reads what a plugin says. Returns what gives stdout back.
 */
export function takeStdout(): () => void {
  target('stdout')
  const given = process.stdout.write
  process.stdout.write = process.stderr.write.bind(process.stderr)
  return () => {
    process.stdout.write = given
  }
}

/**
 * Waits until everything is written; a pipe takes only so much at once.
 * @throws node's error where stdout can't be written, except that nobody reads on
 */
export async function outputDrained(): Promise<void> {
  await Promise.all([...targets.values()].map(({ drained }) => drained))
  const failure = targets.get('stdout')?.failure
  if (failure) throw failure
}

interface WriteOptions {
  readonly bold?: boolean
  /** What a terminal is told before the text and after it; this module's own. */
  readonly control?: readonly [string, string]
}

function write(name: Name, text: string, { bold = false, control }: WriteOptions = {}): void {
  const to = target(name)
  const safe = printable(text)
  const { promise, resolve } = withResolvers()
  to.drained = promise
  const [before, after] = control ?? (bold ? ['\u001b[1m', '\u001b[22m'] : ['', ''])
  to.write(`${before}${safe}${after}`, (error) => {
    to.failure ??= unlessNobodyReads(error)
    resolve()
  })
}

function target(name: Name): Target {
  const known = targets.get(name)
  if (known) return known
  const stream = process[name]
  const made: Target = {
    write: stream.write.bind(stream),
    drained: Promise.resolve(),
    failure: undefined,
  }
  // `status | head -1` has read enough: the command goes on to its end, in silence.
  stream.on('error', (error) => {
    made.failure ??= unlessNobodyReads(error)
  })
  targets.set(name, made)
  return made
}

function unlessNobodyReads(error: Error | null | undefined): Error | undefined {
  return error && errnoOf(error) !== 'EPIPE' ? error : undefined
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
