import type { Etcd, Keys } from '@podwire/cluster'
import type { Command } from 'commander'
import { loadConfiguration } from '../../configuration.ts'
import { errors } from '../../errors.ts'
import { collect, type GlobalFlags } from '../../flags.ts'

/** Where etcd is, for who has no configuration that says so. */
export interface EtcdFlags {
  readonly endpoint?: string[]
  readonly prefix?: string
}

export const withEtcdFlags = (one: Command): Command =>
  one
    .option(
      '--endpoint <url>',
      'a client URL of etcd; may be repeated (default: cluster.etcd of the configuration)',
      collect((url) => url),
    )
    .option('--prefix <prefix>', "what the network's keys begin with")

/** Asks the etcd that the flags name, or the configuration. */
export async function withEtcd<T>(
  { endpoint, prefix, ...flags }: GlobalFlags & EtcdFlags,
  use: (etcd: Etcd, keys: Keys) => Promise<T>,
): Promise<T> {
  const { DEFAULT_PREFIX, keysOf, openEtcd, readEtcdOptions } = await import('@podwire/cluster')
  const { isEtcdEndpoint } = await import('@podwire/core')
  const bad = endpoint?.find((url) => !isEtcdEndpoint(url))
  if (bad !== undefined)
    throw errors.USAGE({
      what: '--endpoint',
      value: bad,
      expected: 'http://HOST:PORT or https://HOST:PORT',
    })
  const { cluster } = (await loadConfiguration(flags)).config
  const endpoints = endpoint ?? cluster?.etcd?.endpoints
  if (!endpoints) {
    const expected = '--endpoint URL, or cluster.etcd in the configuration'
    throw errors.USAGE({ what: 'podwire cluster', value: '', expected })
  }
  const etcd = openEtcd(readEtcdOptions({ ...cluster?.etcd, endpoints }))
  try {
    return await use(etcd, keysOf(prefix ?? cluster?.etcd?.prefix ?? DEFAULT_PREFIX))
  } finally {
    etcd.close()
  }
}
