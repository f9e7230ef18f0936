import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Pod } from '@podwire/api'

/** A pod as the reference and ours are told of it. */
export interface BenchPod {
  readonly id: string
  readonly netns: string
  /** What it asks for beyond a network, in CNI's words and in ours. */
  readonly capabilityArgs?: Readonly<Record<string, unknown>>
  readonly asks?: Pick<Pod, 'portMappings' | 'bandwidth'>
}

/** The times of each pod and of all together, in milliseconds. */
export interface Times {
  readonly each: readonly number[]
  readonly total: number
}

/** Go's libcni in a process of its own. */
export interface GoReference {
  run(operation: 'add' | 'del', pods: readonly BenchPod[], concurrency: number): Promise<Times>
  close(): void
}

const CNI_PATH = '/usr/lib/cni'

/** What this machine lacks for the reference, as a line to run; undefined when it lacks nothing. */
export function missingForGo(): string | undefined {
  const missing = [
    ...(spawnSync('go', ['version']).status === 0 ? [] : ['golang-go']),
    ...(existsSync('/usr/share/gocode/src/github.com/containernetworking/cni/libcni')
      ? []
      : ['golang-github-appc-cni-dev']),
    ...(existsSync(`${CNI_PATH}/bridge`) ? [] : ['containernetworking-plugins']),
  ]
  return missing.length > 0 ? `apt-get install ${missing.join(' ')}` : undefined
}

/**
 * Builds the reference and starts it.
 * @param dir a directory of the caller's, for the binary and the cache
 */
export function startGoReference(dir: string, conflist: string): GoReference {
  const binary = join(dir, 'reference')
  const source = new URL('../go/main.go', import.meta.url).pathname
  const env = {
    ...process.env,
    GO111MODULE: 'off',
    GOPATH: '/usr/share/gocode',
    GOCACHE: join(dir, 'go-cache'),
    GOFLAGS: '',
  }
  const build = spawnSync('go', ['build', '-o', binary, source], { env, encoding: 'utf8' })
  if (build.status !== 0) throw new Error(`the Go reference does not build: ${build.stderr}`)

  const child = spawn(binary, [conflist, CNI_PATH, join(dir, 'go')], { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    run: async (operation, pods, concurrency) => {
      child.stdin.write(`${JSON.stringify({ operation, concurrency, pods })}\n`)
      const { value, done } = await answers.next()
      if (done) throw new Error('the Go reference ended')
      // It is our own program that writes this.
      const { error, ...times } = JSON.parse(value) as Times & { error?: string }
      if (error) throw new Error(`the Go reference failed to ${operation}: ${error}`)
      return times
    },
    close: () => child.stdin.end(),
  }
}
