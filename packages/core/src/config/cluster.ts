import { isIP, isIPv4, isIPv6 } from 'node:net'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { once, parseDuration, parsePodCIDR } from '@podwire/api'
import * as z from 'zod/mini'

const describe = (description: string) => z.meta({ description })

/** The shortest lease that etcd keeps to. Milliseconds. */
const shortest = 5_000

/** Whether a text can be the client URL of a member of etcd: `https://10.0.0.1:2379`. */
export const isEtcdEndpoint = (text: string): boolean =>
  /^https?:\/\/[^/]+\/?$/.test(text) && URL.canParse(text)

/** How this node is part of a network of many, as a user writes it. */
export const clusterSchema = once(() => {
  const duration = z
    .union([z.string(), z.number()], { error: 'expected a duration such as "10m" or "24h"' })
    .check(
      z.refine((value) => parseDuration(value) !== undefined, {
        error: 'expected a duration such as "10m" or "24h", at most 596h',
      }),
    )

  const text = (description: string) =>
    z.string().check(z.minLength(1, { error: 'expected some text' }), describe(description))

  const url = z.string().check(
    z.refine(isEtcdEndpoint, {
      error: 'expected the client URL of a member, such as "https://10.0.0.1:2379"',
    }),
  )

  const etcd = z
    .strictObject({
      endpoints: z
        .array(url)
        .check(
          z.minLength(1),
          describe(
            'Client URLs of the members, such as "https://10.0.0.1:2379". The first that answers is asked.',
          ),
        ),
      prefix: z._default(
        z
          .string()
          .check(
            z.regex(/^\/./, { error: 'expected a prefix of keys such as "/coreos.com/network"' }),
            describe("What the network's keys begin with. Default: flannel's own."),
          ),
        '/coreos.com/network',
      ),
      ca: z.optional(text('The file of the certificates (PEM) by which the members are known.')),
      cert: z.optional(text('The file of the certificate (PEM) that this node shows.')),
      key: z.optional(text('The file of its key.')),
      username: z.optional(text('The user whose rights this node has.')),
      password: z.optional(text("The user's password.")),
    })
    .check(
      z.refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
        error: 'cert and key belong together',
      }),
      z.refine(({ username, password }) => (username === undefined) === (password === undefined), {
        error: 'username and password belong together',
      }),
      describe('Where pod CIDRs are leased. podwire cluster init writes the network there.'),
    )

  const kubernetes = z
    .strictObject({
      kubeconfig: z.optional(
        text('The file that says how to reach the API server. Default: the service account of the pod.'),
      ),
      clusterCIDR: z.string().check(
        z.refine((value) => parsePodCIDR(value) !== undefined, {
          error: 'expected a CIDR, or one of each family separated by a comma',
        }),
        describe('What all pods of all nodes have, as kube-controller-manager is told.'),
      ),
    })
    .check(describe('The pod CIDRs that Kubernetes gives its Nodes.'))

  const node = z.strictObject({
    node: text('The name of the node.'),
    podCIDR: z.string().check(
      z.refine((value) => parsePodCIDR(value) !== undefined, {
        error: 'expected a CIDR, or one of each family separated by a comma',
      }),
      describe('Where its pods get their addresses from.'),
    ),
    publicIP: z.string().check(
      z.refine((value) => isIP(value) !== 0, { error: 'expected an address' }),
      describe('The address by which the others reach it.'),
    ),
  })

  const backend = z
    .strictObject({
      type: z._default(
        z.enum(['vxlan', 'host-gw']).check(describe('host-gw: all nodes share a link.')),
        'vxlan',
      ),
      vni: z._default(
        z
          .number()
          .check(z.int(), z.minimum(1), z.maximum(2 ** 24 - 1), describe('The number of the vxlan network.')),
        1,
      ),
      port: z._default(
        z.number().check(z.int(), z.minimum(1), z.maximum(65_535), describe('The UDP port of vxlan.')),
        8472,
      ),
      directRouting: z._default(
        z.boolean().check(describe('Nodes on one link need no vxlan between them.')),
        true,
      ),
    })
    .check(describe('How packets come from node to node, where no etcd says it.'))

  return z
    .strictObject({
      etcd: z.optional(etcd),
      static: z.optional(
        z
          .array(node)
          .check(z.minLength(1), describe('All nodes, this one among them, where there is no etcd.')),
      ),
      kubernetes: z.optional(kubernetes),
      backend: z.optional(backend),
      nodeName: z.optional(text("This node's name, of no other node. Default: the host's.")),
      publicIP: z.optional(
        z
          .string()
          .check(
            z.refine(isIPv4, { error: 'expected an IPv4 address' }),
            describe('The address by which other nodes reach this one. Default: the first of the interface.'),
          ),
      ),
      publicIPv6: z.optional(
        z.string().check(
          z.refine((address) => isIPv6(address) && !address.includes('%'), {
            error: 'expected an IPv6 address without a zone',
          }),
          describe('The same of IPv6.'),
        ),
      ),
      interface: z.optional(
        text(
          'The link by which it reaches the others. Default: the one that has publicIP, else that of the default route.',
        ),
      ),
      leaseTTL: z._default(
        duration.check(
          z.refine((value) => (parseDuration(value) ?? 0) >= shortest, { error: 'expected at least 5s' }),
          describe(
            "How long the pod CIDR stays this node's after etcd heard of it last. It is fenced before the end.",
          ),
        ),
        '24h',
      ),
      renewBefore: z.optional(
        duration.check(describe('How long before its end the lease is renewed. Default: half of leaseTTL.')),
      ),
      releaseOnStop: z._default(
        z
          .boolean()
          .check(
            describe(
              'Give the pod CIDR back when the daemon stops. Else it is kept, as pods keep their networks.',
            ),
          ),
        false,
      ),
      sharePods: z._default(
        z
          .boolean()
          .check(
            describe(
              "With etcd: tell the other nodes the names and addresses of this one's pods, and hear of theirs. For names of pods, and rules about pods.",
            ),
          ),
        true,
      ),
      sharedAnnotations: z._default(
        z
          .array(
            z.string().check(
              z.regex(/^[^*\s]+\*?$|^\*$/, {
                error: 'expected the key of an annotation, or how keys begin, such as "example.org/*"',
              }),
            ),
          )
          .check(
            describe(
              'Which annotations the others are told too, for rules that select pods by them: keys, or how they begin ("example.org/*"). Whoever reads in etcd sees them.',
            ),
          ),
        [],
      ),
    })
    .check(
      z.refine((one) => [one.etcd, one.static, one.kubernetes].filter((source) => source).length === 1, {
        error: 'expected one of etcd, static and kubernetes',
      }),
      z.refine(({ etcd, backend }) => etcd === undefined || backend === undefined, {
        error: 'with etcd there is no backend here: podwire cluster init says it for all nodes',
      }),
      z.refine(
        ({ etcd, sharePods, sharedAnnotations }) =>
          sharedAnnotations.length === 0 || (etcd !== undefined && sharePods),
        {
          error: 'sharedAnnotations needs etcd, and sharePods: without them nobody is told of pods',
        },
      ),
      z.refine(
        ({ leaseTTL, renewBefore }) =>
          renewBefore === undefined || (parseDuration(renewBefore) ?? 0) < (parseDuration(leaseTTL) ?? 0),
        { error: 'renewBefore must be less than leaseTTL' },
      ),
    )
})

type Written = z.output<ReturnType<typeof clusterSchema>>

/** The same checked: durations in milliseconds, paths absolute. */
export interface ClusterConfig extends Readonly<Omit<Written, 'nodeName' | 'leaseTTL' | 'renewBefore'>> {
  readonly nodeName: string
  readonly leaseTTL: number
  readonly renewBefore: number
}

export function completeCluster(written: Written, dir: string): ClusterConfig {
  const leaseTTL = parseDuration(written.leaseTTL) ?? shortest
  const { etcd, kubernetes } = written
  const file = (path: string | undefined) => path && resolve(dir, path)
  return {
    ...written,
    ...(kubernetes ? { kubernetes: { ...kubernetes, kubeconfig: file(kubernetes.kubeconfig) } } : {}),
    ...(etcd ? { etcd: { ...etcd, ca: file(etcd.ca), cert: file(etcd.cert), key: file(etcd.key) } } : {}),
    nodeName: written.nodeName ?? hostname(),
    leaseTTL,
    renewBefore:
      (written.renewBefore === undefined ? undefined : parseDuration(written.renewBefore)) ?? leaseTTL / 2,
  }
}

/** The keys that are valid at a path below `cluster`. */
export function clusterKeysAt([key]: readonly PropertyKey[]): string[] {
  const { shape } = clusterSchema()
  if (key === 'etcd') return Object.keys(shape.etcd.def.innerType.shape)
  if (key === 'kubernetes') return Object.keys(shape.kubernetes.def.innerType.shape)
  if (key === 'backend') return Object.keys(shape.backend.def.innerType.shape)
  if (key === 'static') return ['node', 'podCIDR', 'publicIP']
  return Object.keys(shape)
}
