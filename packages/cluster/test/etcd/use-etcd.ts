import { afterAll, beforeAll } from 'vitest'
import { type EtcdMember, startEtcd } from '../../../../.dev/etcd-server.ts'
import { type Etcd, openEtcd } from '../../src/etcd/client.ts'

/** An etcd of the tests of a file, with a client. */
export interface TestEtcd {
  readonly server: EtcdMember
  readonly client: Etcd
  /** What the keys of one test begin with, and those of no other. */
  nextPrefix(): string
}

/** To be called where tests are described: it runs while they do. */
export function useEtcd(): TestEtcd {
  let server: EtcdMember
  let client: Etcd
  let tests = 0
  beforeAll(async () => {
    ;[server] = (await startEtcd()) as [EtcdMember]
    client = openEtcd({ endpoints: [server.endpoint] })
  })
  afterAll(() => client.close())
  return {
    get server() {
      return server
    },
    get client() {
      return client
    },
    nextPrefix: () => `/test-${++tests}`,
  }
}
