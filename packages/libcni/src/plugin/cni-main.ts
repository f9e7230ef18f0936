import { readFileSync, writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import { errnoOf } from '@podwire/api'
import { cniVersions } from '../version.ts'
import { beginCall, type CniAnswer, type CniPlugin } from './serve-cni.ts'

/** Serves the one call that this process was started for, and ends the process. */
export async function cniMain(plugin: CniPlugin): Promise<never> {
  const versions = plugin.versions ?? cniVersions
  if (!process.env.CNI_COMMAND) {
    process.stderr.write(`${plugin.about}\nCNI protocol versions supported: ${versions.join(', ')}\n`)
    process.exit(0)
  }
  const end = ({ stdout, exitCode }: CniAnswer): never => {
    print(stdout)
    process.exit(exitCode)
  }
  const { answer, fail } = beginCall(plugin, { env: process.env, stdin: readStdin })
  // What is thrown where nobody awaits it, and what waits for something that never comes, are failures too.
  process.once('uncaughtException', (error) => end(fail(error)))
  process.once('beforeExit', () => end(fail(new Error('the plugin ended before it answered'))))
  return end(await answer)
}

// Who asks for the versions by hand types no question.
function readStdin(): string {
  if (process.env.CNI_COMMAND === 'VERSION' && isatty(0)) return ''
  return readFileSync(0, 'utf8')
}

// Written whole before the process ends: a pipe may take it piece by piece.
function print(text: string): void {
  let rest = Buffer.from(text)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      if (errnoOf(error) === 'EPIPE') return
      if (errnoOf(error) !== 'EAGAIN') throw error
    }
  }
}
