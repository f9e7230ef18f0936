import * as z from 'zod'

// What a client may ask, and what it is answered. The OpenAPI document is made from these; the host checks what values mean.

const text = (description: string) => z.string().meta({ description })

export const podParams = z.strictObject({
  namespace: text('A DNS label: default'),
  name: text('A DNS subdomain: web'),
})

const portMapping = z.strictObject({
  hostPort: z.number().meta({ description: '1–65535' }),
  containerPort: z.number().meta({ description: '1–65535' }),
  protocol: z.enum(['tcp', 'udp', 'sctp']),
  hostIP: text('An address of the host; default: all of them').optional(),
})

const annotations = z.record(z.string(), z.string())

const policyRule = z
  .strictObject({
    host: text('By name, of egress alone: registry.npmjs.org, or *.npmjs.org for all names below').optional(),
    cidr: text('Addresses: 10.1.0.0/16').optional(),
    except: z.array(z.string()).meta({ description: 'What of the CIDR the rule is not about' }).optional(),
    pod: z
      .union([
        z.string(),
        z.strictObject({ namespace: z.string().optional(), annotations: annotations.optional() }),
      ])
      .meta({ description: 'NAMESPACE/NAME, * for any; or all that agree with a namespace and annotations' })
      .optional(),
    gateway: z.literal(true).meta({ description: 'The host itself, by any of its addresses' }).optional(),
    published: z
      .literal(true)
      .meta({ description: 'Of ingress alone: who comes by a port that the pod publishes' })
      .optional(),
    set: z.enum(['dns', 'metadata']).optional(),
    ports: z
      .array(z.union([z.number(), z.string()]))
      .meta({ description: '443, or "8000-8100"; default: all' })
      .optional(),
    protocol: z.enum(['tcp', 'udp', 'sctp', 'icmp']).optional(),
  })
  .meta({ id: 'PolicyRule', description: 'Whom it is about, in one of its keys, or everybody' })

const policySide = z
  .strictObject({
    default: z.enum(['allow', 'deny']).meta({ description: 'What holds for all that no rule is about' }),
    allow: z.array(policyRule).optional(),
    deny: z.array(policyRule).optional(),
  })
  .meta({ id: 'PolicySide' })

const policy = z.strictObject({ egress: policySide.optional(), ingress: policySide.optional() }).meta({
  id: 'Policy',
  description:
    'What a pod may reach, and who may reach it; a side that is absent is as the configuration says',
})

export const podBody = z
  .strictObject({
    sandboxId: text('Default: made from the names of the pod, the same each time').optional(),
    netns: text('Adopt this network namespace; the host neither makes nor removes it').optional(),
    pid: z.number().meta({ description: 'Adopt the network namespace of this process' }).optional(),
    ownerPid: z
      .number()
      .meta({ description: 'The sandbox ends with this process: the next start of a host takes it down' })
      .optional(),
    annotations: annotations.optional(),
    portMappings: z.array(portMapping).optional(),
    policy: policy.optional(),
    allowNoAddress: z
      .boolean()
      .meta({ description: 'A pod that ends without an address is an error otherwise' })
      .optional(),
    mustBeNew: z
      .boolean()
      .meta({ description: 'A pod that is set up already is an error, instead of being kept or changed' })
      .optional(),
  })
  .meta({ id: 'PodRequest' })

export const sandboxQuery = z.strictObject({ sandboxId: text('Default: that of the names').optional() })

export const tearDownQuery = sandboxQuery.extend({
  force: z.enum(['true', 'false']).meta({ description: 'Give up on what fails' }).optional(),
})

const phases = ['setting-up', 'ready', 'changing', 'tearing-down'] as const

export const podsQuery = z.strictObject({
  namespace: text('Only pods of this namespace').optional(),
  phase: z.enum(phases).optional(),
  plugin: text('Only pods that this network plugin set up').optional(),
})

const podRef = z
  .object({ namespace: z.string(), name: z.string(), sandboxId: z.string() })
  .meta({ id: 'PodRef' })

const pod = podRef
  .extend({
    netns: text('The path of its network namespace'),
    ifName: text('Of the interface in there, where it is not eth0').optional(),
    annotations,
    portMappings: z.array(portMapping),
    bandwidth: z
      .object({ ingress: z.number().optional(), egress: z.number().optional() })
      .meta({ description: 'Bits per second' })
      .optional(),
    policy: policy.optional(),
  })
  .meta({ id: 'Pod' })

const podStatus = z
  .object({
    kind: z.literal('PodNetworkStatus').optional(),
    apiVersion: z.literal('v1beta1').optional(),
    ip: text('The primary address'),
    ips: z.array(z.string()).optional(),
    interfaces: z
      .array(
        z.object({
          name: z.string(),
          network: z.string().optional(),
          ips: z.array(z.string()),
          mac: z.string().optional(),
          addresses: z.array(z.object({ address: z.string(), gateway: z.string().optional() })).optional(),
          routes: z.array(z.object({ destination: z.string(), gateway: z.string().optional() })).optional(),
          mtu: z.number().optional(),
          host: z.object({ name: z.string(), mac: z.string().optional() }).optional(),
        }),
      )
      .optional(),
  })
  .meta({ id: 'PodNetworkStatus' })

const pluginStart = z
  .object({
    name: z.string(),
    packageDir: z.string(),
    podCIDR: z.string(),
    hairpinMode: z.enum(['promiscuous-bridge', 'hairpin-veth', 'none']),
    nonMasqueradeCIDR: z.string(),
    mtu: z.number(),
    options: z.unknown().optional(),
    configDir: z.string().optional(),
  })
  .meta({ id: 'PluginStart' })

export const sandboxRecord = z
  .object({
    version: z.literal(1),
    pod,
    previous: pod.optional(),
    netnsIdentity: z.object({ dev: z.number(), ino: z.number() }).optional(),
    ownsNetns: z.boolean(),
    plugin: text('The qualified name of the plugin that set the pod up'),
    pluginStart,
    phase: z.enum(phases),
    problem: text('Why the last operation on it failed').optional(),
    attachment: z
      .object({
        network: z.string(),
        containerId: z.string(),
        ifName: z.string(),
        podUid: z.string().optional(),
      })
      .meta({ description: 'What a container runtime calls it that brought it by CNI' })
      .optional(),
    allowNoAddress: z.boolean().optional(),
    status: podStatus.optional(),
    owner: z.object({ pid: z.number(), startTime: z.string() }).optional(),
    createdAt: text('ISO 8601'),
    setUpMs: z.number().optional(),
  })
  .meta({ id: 'SandboxRecord' })

export const podList = z.object({ pods: z.array(sandboxRecord) })

export const tornDown = z.object({
  left: z
    .array(z.string())
    .meta({ description: 'What may be left, each in a sentence; only ever with force' }),
})

export const repaired = z.object({
  pods: z.array(z.object({ pod: podRef, repaired: z.string().optional(), failed: z.string().optional() })),
})

export const pruneBody = z.strictObject({
  all: z.boolean().meta({ description: 'Every pod, but those that container runtimes attached' }).optional(),
  attachments: z.boolean().meta({ description: 'With all: those too' }).optional(),
})

export const pruned = z.object({
  pods: z.array(
    z.object({
      pod: podRef,
      why: z.string(),
      failed: z.string().optional(),
      kept: z.string().meta({ description: 'Why it was left alone' }).optional(),
    }),
  ),
})

export const eventBody = z.strictObject({
  name: z.string().min(1).max(256),
  details: z.record(z.string(), z.unknown()).default({}),
})

const pluginPackage = z
  .object({
    packageName: z.string(),
    version: z.string(),
    dir: z.string(),
    key: z.string(),
    plugins: z.union([z.array(z.string()), z.literal('dynamic')]),
    capabilities: z.number().optional(),
  })
  .meta({ id: 'PluginPackage' })

export const activePlugin = z
  .object({ from: pluginPackage, start: pluginStart, capabilities: z.array(z.string()) })
  .meta({ id: 'ActivePlugin' })

export const resetBody = z.strictObject({ name: text('The qualified name of the plugin') })

export const resetAnswer = z.object({
  wasDown: z.boolean().meta({ description: 'Whether it stayed down, and was started again' }),
})

export const pluginList = z.object({
  active: text('The name of the plugin that sets pods up'),
  packages: z.array(pluginPackage),
  rejected: z.array(
    z.object({
      path: z.string(),
      packageName: z.string().optional(),
      version: z.string().optional(),
      plugins: z.array(z.string()).optional(),
      reason: z.string(),
    }),
  ),
})

const readiness = z
  .union([z.object({ ready: z.literal(true) }), z.object({ ready: z.literal(false), reason: z.string() })])
  .meta({ id: 'Readiness' })

export const daemonDescription = z
  .object({
    apiVersion: z.literal(1),
    version: text('Of podwire'),
    pid: z.number(),
    stateDir: z.string(),
    configFile: z.string().optional(),
    networkPlugin: z.string(),
    startedAt: text('ISO 8601'),
  })
  .meta({ id: 'Daemon' })

export const statusAnswer = z.object({
  readiness,
  daemon: daemonDescription,
  stopping: z.boolean(),
})

export const operationParams = z.strictObject({
  operation: z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'expected 1–64 letters, digits or "-"'),
})

export const eventsQuery = z.strictObject({
  from: z.enum(['start']).meta({ description: 'Begin with the oldest event that is kept' }).optional(),
  until: z.enum(['now']).meta({ description: 'End with the newest there is' }).optional(),
})

export const flowsQuery = eventsQuery.extend({
  only: z
    .enum(['denied'])
    .meta({ description: 'Have no allowed flows watched, which costs something for each connection' })
    .optional(),
})

/** An error's own cause is one too. */
export const errorJson = z
  .object({
    name: z.string(),
    message: text('What was wrong, with which value, and what to do'),
    code: text('Stable, for programs').optional(),
    details: z.record(z.string(), z.unknown()).optional(),
    exitCode: z.union([z.literal(1), z.literal(2)]).optional(),
    get cause() {
      return errorJson.optional()
    },
    get errors() {
      return z.array(errorJson).optional()
    },
  })
  .meta({ id: 'Error' })
