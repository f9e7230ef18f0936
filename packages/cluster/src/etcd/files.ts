import { readFileSync } from 'node:fs'
import type { EtcdOptions } from './client.ts'

/** How an etcd is reached, as a configuration says it: certificates and keys by their files. */
export interface EtcdFiles {
  readonly endpoints: readonly string[]
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly username?: string | undefined
  readonly password?: string | undefined
}

/** Reads the files. Throws node:fs's errors, which name the path. */
export function readEtcdOptions({ endpoints, ca, cert, key, username, password }: EtcdFiles): EtcdOptions {
  const read = <K extends string>(name: K, file: string | undefined) =>
    // The record of one key.
    (file === undefined ? {} : { [name]: readFileSync(file, 'utf8') }) as Partial<Record<K, string>>
  return {
    endpoints,
    ...read('ca', ca),
    ...read('cert', cert),
    ...read('key', key),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  }
}
