import type { Readable, Writable } from 'node:stream'

/** A program that runs, the leader of a process group of its own. */
interface RunningProcess {
  readonly pid: number
  /** What was to be written is under way; a program need not read it. */
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /** Resolves when it has ended; children of it may still hold its pipes. */
  readonly ended: Promise<ProcessEnd>
}

/** How a program ended; neither is known where somebody else waited for it. */
export interface ProcessEnd {
  readonly exitCode?: number
  readonly signal?: NodeJS.Signals
}

/** Starts a program without arguments and writes to its stdin. Rejects with the system's error where it can't. */
export type StartProcess = (path: string, stdin: string, env: NodeJS.ProcessEnv) => Promise<RunningProcess>
