import * as z from 'zod/mini'

const path = z.string({ error: 'expected a path' }).check(z.minLength(1, { error: 'expected a path' }))
const strings = z.optional(z.array(z.string({ error: 'expected a string' }), { error: 'expected a list' }))

const shape = {
  /** Where network configurations lie; relative to the configuration file. */
  confDir: z._default(path, '/etc/cni/net.d'),
  /** Where CNI plugins are looked for, in this order. */
  binDirs: z._default(
    z
      .array(path, { error: 'expected a list of directories' })
      .check(z.minLength(1, { error: 'expected a directory' })),
    ['/opt/cni/bin', '/usr/lib/cni'],
  ),
  /** A plugin of type TYPE is looked for in PREFIX/opt/TYPE/bin besides, as the kubelet did. */
  vendorPrefix: z._default(path, '/'),
  /** What was attached, and how, is kept here. Default: the plugin's state directory. */
  cacheDir: z.optional(path),
  /** The name of the network that every pod gets as eth0. Default: the first valid file's. */
  network: z.optional(z.string({ error: 'expected the name of a network' })),
  /** Handed to plugins that declare the `dns` capability. */
  dns: z.optional(
    z.strictObject(
      { servers: strings, searches: strings, options: strings },
      { error: 'expected an object of servers, searches, options' },
    ),
  ),
}

const keys = Object.keys(shape).join(', ')

/** The options of the package, under `cni` in the configuration's `plugins`. */
export const cniOptions = z.strictObject(shape, {
  error: (issue) =>
    issue.code === 'unrecognized_keys'
      ? `unknown key ${issue.keys.join(', ')}: expected one of ${keys}`
      : `expected an object of ${keys}`,
})

export type CniOptions = z.output<typeof cniOptions>
