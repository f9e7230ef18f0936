import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { afterEach, beforeEach, describe } from 'vitest'
import {
  createNetns,
  listNetns,
  type Netlink,
  namedNetns,
  openNetlink,
  removeNetns,
  withNetns,
} from '../src/index.ts'

/** Like describe, for tests that need a machine of their own; they are skipped, and named, where there is none. */
export const describeIsolated = describe.skipIf(process.env.PODWIRE_TEST_ISOLATED !== '1')

export const openFiles = () => readdirSync('/proc/self/fd').length

/** Arguments that make node run a script that imports this package from its source. */
export const running = (script: string) => [
  '--conditions=podwire-source',
  '--import',
  'tsx',
  '--input-type=module',
  '-e',
  script,
]

export interface Sandbox {
  path: string
  netlink: Netlink
  /** Runs a command inside. */
  run(command: string): string
  /** Runs a command inside and parses the JSON it prints. */
  // biome-ignore lint/suspicious/noExplicitAny: what ip and tc print is looked at key by key
  json(command: string): any
}

// Test files run side by side and share /run/netns.
const prefix = `netlink-${process.pid}-`

/** A namespace's name, and its path, that no other test file uses. */
export const ownName = (name: string) => `${prefix}${name}`
export const ownNetns = (name: string) => namedNetns(ownName(name))

/** The namespaces of this test file. */
export const ownList = () => listNetns().filter(({ name }) => name.startsWith(prefix))

export function removeOwn(): void {
  for (const { path } of ownList()) removeNetns(path)
}

/** A fresh namespace with a netlink socket in it for each test. */
export function useSandbox(): Sandbox {
  const path = ownNetns('box')
  const run = (command: string) => {
    const [file = '', ...args] = command.split(' ')
    return withNetns(path, () =>
      execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
    )
  }
  const sandbox = { path, run, json: (command: string) => JSON.parse(run(command) || '[]') } as Sandbox
  beforeEach(() => {
    createNetns(path)
    sandbox.netlink = openNetlink({ netns: path })
  })
  afterEach(() => {
    sandbox.netlink.close()
    removeOwn()
  })
  return sandbox
}
