import type { StandardSchema } from '@podwire/api'
import * as z from 'zod/mini'

const describe = (description: string) => z.meta({ description })

const path = z.string({ error: 'expected a path' }).check(z.minLength(1, { error: 'expected a path' }))
const strings = z.optional(z.array(z.string({ error: 'expected a string' }), { error: 'expected a list' }))

const shape = {
  confDir: z._default(
    path.check(describe('Where network configurations lie; relative to the configuration file.')),
    '/etc/cni/net.d',
  ),
  binDirs: z._default(
    z
      .array(path, { error: 'expected a list of directories' })
      .check(
        z.minLength(1, { error: 'expected a directory' }),
        describe('Where CNI plugins are looked for, in this order.'),
      ),
    ['/opt/cni/bin', '/usr/lib/cni'],
  ),
  vendorPrefix: z._default(
    path.check(
      describe('A plugin of type TYPE is looked for in PREFIX/opt/TYPE/bin besides, as the kubelet did.'),
    ),
    '/',
  ),
  cacheDir: z.optional(
    path.check(describe("What was attached, and how, is kept here. Default: the plugin's state directory.")),
  ),
  network: z.optional(
    z
      .string({ error: 'expected the name of a network' })
      .check(
        describe("The name of the network that every pod gets as eth0. Default: the first valid file's."),
      ),
  ),
  dns: z.optional(
    z
      .strictObject(
        {
          servers: strings.check(describe('Addresses of name servers.')),
          searches: strings.check(describe('Domains that short names are looked for in.')),
          options: strings.check(describe('Options as in resolv.conf.')),
        },
        { error: 'expected an object of servers, searches, options' },
      )
      .check(describe('Handed to plugins that declare the `dns` capability.')),
  ),
}

const keys = Object.keys(shape).join(', ')

const schema = z.strictObject(shape, {
  error: (issue) =>
    issue.code === 'unrecognized_keys'
      ? `unknown key ${issue.keys.join(', ')}: expected one of ${keys}`
      : `expected an object of ${keys}`,
})

// Named, so that the declarations do not speak of files inside of zod.
type DescribedSchema = StandardSchema<CniOptions> & {
  readonly '~standard': { readonly jsonSchema: { input(): unknown } }
}

/**
 * The options of the package, under `cni` in the configuration's `plugins`; with their JSON Schema, which zod's small
 * edition leaves out.
 */
export const cniOptions: DescribedSchema = {
  '~standard': {
    ...schema['~standard'],
    jsonSchema: { input: () => z.toJSONSchema(schema, { io: 'input' }) },
  },
}

export type CniOptions = z.output<typeof schema>
