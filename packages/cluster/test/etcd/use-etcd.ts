import { afterAll, beforeAll } from 'vitest'
import { type EtcdMember, startEtcd } from '../../../../.dev/etcd-server.ts'
import { type Etcd, openEtcd } from '../../src/etcd/client.ts'

/** An etcd of the tests of a file, with a client. */
export interface TestEtcd {
  /** Its first member. */
  readonly server: EtcdMember
  readonly members: readonly EtcdMember[]
  readonly endpoints: readonly string[]
  readonly client: Etcd
  /** What the keys of one test begin with, and those of no other. */
  nextPrefix(): string
}

/** To be called where tests are described: it runs while they do. The arguments are those of `startEtcd`. */
export function useEtcd(...how: Parameters<typeof startEtcd>): TestEtcd {
  let members: EtcdMember[]
  let client: Etcd
  let tests = 0
  const endpoints = () => members.map(({ endpoint }) => endpoint)
  beforeAll(async () => {
    members = await startEtcd(...how)
    client = openEtcd({ endpoints: endpoints() })
  })
  afterAll(() => client.close())
  return {
    get server() {
      // There is one at least.
      return members[0] as EtcdMember
    },
    get members() {
      return members
    },
    get endpoints() {
      return endpoints()
    },
    get client() {
      return client
    },
    nextPrefix: () => `/test-${++tests}`,
  }
}
