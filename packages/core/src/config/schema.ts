import {
  isQualifiedName,
  once,
  parseCIDR,
  parseDuration,
  parsePodCIDR,
  qualifiedNameProblems,
} from '@podwire/api'
import * as z from 'zod/mini'
import { policySchema } from '../policy/schema.ts'
import { clusterSchema } from './cluster.ts'
import { defaults } from './defaults.ts'

const describe = (description: string) => z.meta({ description })

const duration = (fallback: string, description: string) =>
  z._default(
    z.union([z.string(), z.number()], { error: 'expected a duration such as "500ms", "30s" or "2m"' }).check(
      z.refine((value) => parseDuration(value) !== undefined, {
        error: 'expected a duration such as "500ms", "30s" or "2m"',
      }),
      describe(description),
    ),
    fallback,
  )

/** The configuration as a user writes it; every key may be left out. */
export const configSchema = once(() => {
  const networkPlugin = z._default(
    z.string().check(
      z.refine((name) => name === '' || isQualifiedName(name), {
        error: ({ input }) => `expected [prefix/]name: ${qualifiedNameProblems(String(input)).join('; ')}`,
      }),
      describe('The network plugin that sets pods up, by its qualified name. Empty: kubernetes.io/no-op.'),
    ),
    defaults.networkPlugin,
  )

  const podCIDR = z._default(
    z.string().check(
      z.refine((text) => text === '' || text === 'auto' || parsePodCIDR(text) !== undefined, {
        error:
          'expected a CIDR such as "10.88.0.0/16", or one of each family separated by a comma, or "auto"',
      }),
      describe(
        'Where pods get their addresses from: one CIDR, or an IPv4 and an IPv6 one separated by a comma. auto: the plugin takes a range that is free on this host, and keeps it; kubenet can.',
      ),
    ),
    defaults.podCIDR,
  )

  const mtu = z._default(
    z.number().check(
      z.refine((value) => value === 0 || (Number.isInteger(value) && value >= 576 && value <= 65535), {
        error: 'expected 0 (the plugin chooses), or 576 to 65535 bytes',
      }),
      describe('The MTU of pod interfaces in bytes. 0: the plugin chooses.'),
    ),
    defaults.mtu,
  )

  const deadlines = z
    .strictObject({
      init: duration(defaults.deadlines.init, 'For the initialisation of the plugin.'),
      event: duration(defaults.deadlines.event, 'For the plugin to take an event.'),
      setUpPod: duration(defaults.deadlines.setUpPod, 'For setting a pod up.'),
      tearDownPod: duration(defaults.deadlines.tearDownPod, 'For tearing a pod down.'),
      getPodNetworkStatus: duration(defaults.deadlines.getPodNetworkStatus, "For asking a pod's addresses."),
      status: duration(defaults.deadlines.status, 'For asking whether the plugin is ready.'),
      checkPod: duration(defaults.deadlines.checkPod, "For checking a pod's network."),
      collectGarbage: duration(defaults.deadlines.collectGarbage, 'For collecting what belongs to no pod.'),
    })
    .check(
      describe('How long each operation of a plugin may take: milliseconds, or a duration such as "30s".'),
    )

  const config = z.strictObject({
    $schema: z.optional(z.string().check(describe('Where editors find the schema of this file.'))),
    networkPlugin,
    hairpinMode: z._default(
      z
        .enum(['promiscuous-bridge', 'hairpin-veth', 'none'])
        .check(describe('How a pod reaches itself through a port that it publishes.')),
      defaults.hairpinMode,
    ),
    nonMasqueradeCIDR: z._default(
      z.string().check(
        z.refine((text) => parseCIDR(text) !== undefined, { error: 'expected a CIDR such as "10.0.0.0/8"' }),
        describe("Destinations that see a pod's own address. 0.0.0.0/0: all of them."),
      ),
      defaults.nonMasqueradeCIDR,
    ),
    mtu,
    podCIDR,
    plugins: z._default(
      z
        .record(z.string(), z.unknown())
        .check(
          describe('Options of plugin packages, by their conventional name: exec, kubenet, acme.io/mysdn.'),
        ),
      {},
    ),
    discovery: z.prefault(
      z
        .strictObject({
          paths: z._default(
            z
              .array(z.string())
              .check(
                describe(
                  'Directories to search besides node_modules, each laid out like one. Glob patterns; "!" in front leaves out.',
                ),
              ),
            [],
          ),
          packages: z._default(
            z
              .array(z.string())
              .check(
                describe(
                  'Directories of plugin packages, whatever their names. Glob patterns; "!" in front leaves out.',
                ),
              ),
            [],
          ),
        })
        .check(describe('Where plugin packages are looked for besides node_modules.')),
      {},
    ),
    isolation: z.optional(
      z
        .union(
          [z.enum(['none', 'process', 'third-party']), z.record(z.string(), z.enum(['none', 'process']))],
          {
            error:
              'expected "none", "process", "third-party", or "none" or "process" for plugin packages by name: {"acme.io/mysdn": "process"}',
          },
        )
        .check(
          describe(
            "Which plugin packages run in a process of their own: none, all (process), or those that are not Podwire's own (third-party); or one of none and process for each by its conventional name, and the default for others. Default: none.",
          ),
        ),
    ),
    onMissingCapability: z._default(
      z
        .enum(['error', 'warn'])
        .check(
          describe(
            "Whether a pod that asks for what the plugin can't do is refused, or set up with a warning.",
          ),
        ),
      defaults.onMissingCapability,
    ),
    policy: z.optional(
      policySchema().check(
        describe(
          'What pods may reach, and who may reach them. A side that a pod says something of by itself is its own.',
        ),
      ),
    ),
    cluster: z.optional(
      // Built when it is there: few have one, and every command reads its configuration.
      z
        .lazy(clusterSchema)
        .check(
          describe(
            'Many nodes, one network: the pod CIDR of this one comes from etcd or a list, and pods of all nodes reach each other. For podwire daemon.',
          ),
        ),
    ),
    deadlines: z.prefault(deadlines, {}),
    stateDir: z._default(
      z
        .string()
        .check(
          z.minLength(1, { error: 'expected a directory' }),
          describe(
            'Where records of sandboxes are kept. It must not survive a reboot, as network namespaces do not.',
          ),
        ),
      defaults.stateDir,
    ),
  })
  return config.check(
    z.refine(({ cluster, podCIDR: own }) => cluster === undefined || own === '', {
      path: ['podCIDR'],
      error: "expected none beside cluster, which gives this node's",
    }),
  )
})

/** What a user writes. */
export type PodwireConfig = z.input<ReturnType<typeof configSchema>>
