import type { CapabilityName, StandardSchema } from '@podwire/api'
import * as z from 'zod/mini'

// The others need methods that an executable can't have.
const names = [
  'shaping',
  'portMappings',
  'dualStack',
  'multiNetwork',
] as const satisfies readonly CapabilityName[]

const describe = (description: string) => z.meta({ description })

const schema = z.strictObject(
  {
    directory: z._default(
      z
        .string({ error: 'expected a directory' })
        .check(
          z.minLength(1, { error: 'expected a directory' }),
          describe(
            "Where the plugins lie; relative to the configuration file. Default: the kubelet's directory.",
          ),
        ),
      '/usr/libexec/kubernetes/kubelet-plugins/net/exec/',
    ),
    capabilities: z._default(
      z
        .array(z.enum(names, { error: `expected one of ${names.join(', ')}` }), {
          error: `expected a list of ${names.join(', ')}`,
        })
        .check(describe("What the executables handle beyond addresses: they can't be asked.")),
      [],
    ),
  },
  {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `unknown key ${issue.keys.join(', ')}: expected directory or capabilities`
        : 'expected an object with directory or capabilities',
  },
)

// Named, so that the declarations do not speak of files inside of zod.
type DescribedSchema = StandardSchema<ExecOptions> & {
  readonly '~standard': { readonly jsonSchema: { input(): unknown } }
}

/**
 * The options of the package, under `exec` in the configuration's `plugins`; with their JSON Schema, which zod's small
 * edition leaves out.
 */
export const execOptions: DescribedSchema = {
  '~standard': {
    ...schema['~standard'],
    jsonSchema: { input: () => z.toJSONSchema(schema, { io: 'input' }) },
  },
}

export type ExecOptions = z.output<typeof schema>
