import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** A C program of ours that asks the kernel for a pod's network with the fewest messages, in a process of its own. */
export interface CReference {
  /** Makes `/run/netns/NAME` with this address; returns the milliseconds that took. */
  add(name: string, address: string): Promise<number>
  /** Removes both. */
  del(name: string): Promise<number>
  close(): void
}

/** What this machine lacks for the reference, as a line to run; undefined when it lacks nothing. */
export function missingForC(): string | undefined {
  return spawnSync('gcc', ['--version']).status === 0 ? undefined : 'apt-get install gcc libc6-dev'
}

/**
 * Builds the reference and starts it.
 * @param dir a directory of the caller's, for the binary
 * @param bridge a bridge that is there, with `gateway` as its address; `-`: none, each link is the host's own
 */
export function startCReference(
  dir: string,
  { bridge, gateway, prefixLength }: { bridge: string; gateway: string; prefixLength: number },
): CReference {
  const binary = join(dir, 'c-reference')
  const source = new URL('../c/main.c', import.meta.url).pathname
  const build = spawnSync('gcc', ['-O2', '-Wall', '-Wextra', '-o', binary, source], { encoding: 'utf8' })
  if (build.status !== 0) throw new Error(`the C reference does not build: ${build.stderr}`)

  const child = spawn(binary, [bridge, gateway, String(prefixLength)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ask = async (line: string) => {
    child.stdin.write(`${line}\n`)
    const { value, done } = await answers.next()
    if (done) throw new Error('the C reference ended')
    if (!/^\d+$/.test(value)) throw new Error(`the C reference failed to ${line}: ${value}`)
    return Number(value) / 1e6
  }
  return {
    add: (name, address) => ask(`add ${name} ${address}`),
    del: (name) => ask(`del ${name}`),
    close: () => child.stdin.end(),
  }
}
