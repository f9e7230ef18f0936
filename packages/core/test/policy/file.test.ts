import { expect, test } from 'vitest'
import { policyFromFile } from '../../src/policy/file.ts'
import { workspace } from '../workspace.ts'

const web = { namespace: 'default', annotations: { app: 'web', tier: 'front' } }

async function read(text: string, pod = web) {
  const { write } = await workspace()
  return policyFromFile(await write('policy.yaml', text), pod)
}

const networkPolicy = (spec: string) => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: it, namespace: default }
spec: ${spec}`

test('reads a policy of our own, as YAML and as JSON', async () => {
  const policy = { egress: { default: 'deny', allow: [{ host: 'registry.npmjs.org', ports: [443] }] } }
  expect(
    await read('egress:\n  default: deny\n  allow:\n    - { host: registry.npmjs.org, ports: [443] }'),
  ).toEqual(policy)
  expect(await read(JSON.stringify(policy))).toEqual(policy)
})

test.each<[string, string, object]>([
  [
    'nothing said of ingress denies it',
    '{ podSelector: {} }',
    { ingress: { default: 'deny', allow: [{ gateway: true }] } },
  ],
  [
    'an empty rule allows all',
    '{ podSelector: {}, ingress: [{}] }',
    { ingress: { default: 'deny', allow: [{ gateway: true }, {}] } },
  ],
  [
    'egress where there is a section of it',
    '{ podSelector: { matchLabels: { app: web } }, policyTypes: [Egress], egress: [{ to: [{ ipBlock: { cidr: 10.0.0.0/8, except: [10.1.0.0/16] } }], ports: [{ port: 5432 }, { port: 53, protocol: UDP }, { port: 8000, endPort: 8100 }] }] }',
    {
      egress: {
        default: 'deny',
        allow: [
          { gateway: true },
          ...[
            { ports: [5432], protocol: 'tcp' },
            { ports: [53], protocol: 'udp' },
            { ports: ['8000-8100'], protocol: 'tcp' },
          ].map((traffic) => ({ cidr: '10.0.0.0/8', except: ['10.1.0.0/16'], ...traffic })),
        ],
      },
    },
  ],
  [
    'pods of its own namespace, and of others',
    '{ podSelector: {}, ingress: [{ from: [{ podSelector: { matchLabels: { app: db } } }, { namespaceSelector: {} }, { namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: ci } }, podSelector: { matchExpressions: [{ key: app, operator: In, values: [a, b] }] } }] }] }',
    {
      ingress: {
        default: 'deny',
        allow: [
          { gateway: true },
          { pod: { namespace: 'default', annotations: { app: 'db' } } },
          { pod: {} },
          { pod: { namespace: 'ci', annotations: { app: 'a' } } },
          { pod: { namespace: 'ci', annotations: { app: 'b' } } },
        ],
      },
    },
  ],
])('a NetworkPolicy means what Kubernetes says: %s', async (_, spec, expected) => {
  expect(await read(networkPolicy(spec))).toEqual(expected)
})

test('several add up, as far as they select the pod', async () => {
  const documents = [
    '{ podSelector: {} }',
    '{ podSelector: { matchLabels: { app: web } }, ingress: [{ ports: [{ port: 80 }] }] }',
    '{ podSelector: { matchLabels: { app: db } }, ingress: [{}] }',
  ].map(networkPolicy)
  expect(await read(documents.join('\n---\n'))).toEqual({
    ingress: { default: 'deny', allow: [{ gateway: true }, { ports: [80], protocol: 'tcp' }] },
  })
})

test.each<[string, string, string]>([
  [
    'selects another pod',
    networkPolicy('{ podSelector: { matchLabels: { app: db } } }'),
    'no NetworkPolicy in it selects a pod of namespace default',
  ],
  [
    'names a port',
    networkPolicy('{ podSelector: {}, ingress: [{ ports: [{ port: http }] }] }'),
    'port "http" is a name',
  ],
  [
    'selects by what is not there',
    networkPolicy(
      '{ podSelector: {}, ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: app, operator: Exists }] } }] }] }',
    ),
    'matchExpressions with Exists',
  ],
  [
    'knows labels of namespaces',
    networkPolicy(
      '{ podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: a } } }] }] }',
    ),
    'namespaces have no label "team"',
  ],
  ['has a key that there is not', networkPolicy('{ podSelector: {}, egresss: [] }'), 'unknown key "egresss"'],
  ['is empty', '', 'it is empty'],
  ['says nothing', '{}', 'it says nothing'],
  ['is two of ours', 'egress: { default: deny }\n---\negress: { default: deny }', 'several documents'],
  ['is not YAML', 'egress: {', "it can't be read"],
  ['is a wrong one of ours', 'egress: { default: no }', 'policy.egress.default'],
])('a file that %s is refused with the reason', async (_, text, reason) => {
  await expect(read(text)).rejects.toMatchObject({
    code: 'POLICY_FILE',
    message: expect.stringContaining(reason),
  })
})
