import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import * as z from 'zod/mini'
import { errors } from '../errors.ts'

/** How the API server is reached. Certificates and keys are PEM texts. */
export interface KubernetesAccess {
  /** `https://10.96.0.1:443` */
  readonly server: string
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** Asked at each request: what is mounted for a pod is exchanged while it runs. */
  readonly token: () => string | undefined
}

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount'

/**
 * By a kubeconfig, its current context; without one by the service account of the pod that this process runs in.
 * @throws PodwireError `KUBERNETES_ACCESS`
 */
export async function readKubernetesAccess(
  kubeconfig: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
  account: string = serviceAccount,
): Promise<KubernetesAccess> {
  const from = kubeconfig ?? account
  try {
    return kubeconfig === undefined ? ofServiceAccount(env, account) : await ofKubeconfig(kubeconfig)
  } catch (cause) {
    throw errors.KUBERNETES_ACCESS({ from }, cause)
  }
}

function ofServiceAccount(env: NodeJS.ProcessEnv, account: string): KubernetesAccess {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env
  if (!host) throw new Error('KUBERNETES_SERVICE_HOST is not set: this is no pod of Kubernetes')
  const token = () => readFileSync(`${account}/token`, 'utf8').trim()
  token()
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca: readFileSync(`${account}/ca.crt`, 'utf8'),
    token,
  }
}

const text = z.optional(z.string())
async function ofKubeconfig(file: string): Promise<KubernetesAccess> {
  const { parse } = await import('yaml')
  const schema = z.object({
    'current-context': z.string(),
    contexts: z.array(
      z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) }),
    ),
    clusters: z.array(
      z.object({
        name: z.string(),
        cluster: z.object({
          server: z.url(),
          'certificate-authority': text,
          'certificate-authority-data': text,
        }),
      }),
    ),
    users: z.array(
      z.object({
        name: z.string(),
        user: z.object({
          token: text,
          tokenFile: text,
          'client-certificate': text,
          'client-certificate-data': text,
          'client-key': text,
          'client-key-data': text,
          exec: z.optional(z.unknown()),
        }),
      }),
    ),
  })
  const config = schema.parse(parse(readFileSync(file, 'utf8')))
  const context = find(config.contexts, config['current-context'], 'context').context
  const { cluster } = find(config.clusters, context.cluster, 'cluster')
  const { user } = find(config.users, context.user, 'user')
  if (user.exec !== undefined) throw new Error('its user is asked of a program, which is not done here')
  const pem = (path: string | undefined, data: string | undefined) =>
    data !== undefined
      ? Buffer.from(data, 'base64').toString('utf8')
      : path === undefined
        ? undefined
        : readFileSync(resolve(dirname(file), path), 'utf8')
  const [ca, cert, key] = [
    pem(cluster['certificate-authority'], cluster['certificate-authority-data']),
    pem(user['client-certificate'], user['client-certificate-data']),
    pem(user['client-key'], user['client-key-data']),
  ]
  const { tokenFile } = user
  return {
    server: cluster.server,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    token: () =>
      tokenFile === undefined ? user.token : readFileSync(resolve(dirname(file), tokenFile), 'utf8').trim(),
  }
}

function find<T extends { readonly name: string }>(all: readonly T[], name: string, what: string): T {
  const found = all.find((one) => one.name === name)
  if (!found) throw new Error(`it has no ${what} "${name}"`)
  return found
}
