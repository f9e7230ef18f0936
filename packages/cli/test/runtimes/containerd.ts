import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Client, credentials, loadPackageDefinition, Metadata } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type { Machine } from './machine.ts'
import { pauseImage } from './pause-image.ts'

/** What a pod sandbox is asked for with. */
export interface Sandbox {
  readonly name: string
  readonly hostPort?: number
  readonly annotations?: Readonly<Record<string, string>>
}

/** A containerd that gets its pods' networks from the daemon. */
export interface Containerd {
  run(sandbox: Sandbox): Promise<string>
  stop(id: string): Promise<void>
  remove(id: string): Promise<void>
  /** The pod's address, and whether it is ready. */
  status(id: string): Promise<{ ip: string; ready: boolean }>
  list(): Promise<string[]>
  /** What it says of its network. */
  network(): Promise<{ ready: boolean; message: string }>
  /** Ends it, as an upgrade does, and starts it again; the sandboxes go on. */
  restart(): Promise<void>
  close(): void
}

const IMAGE = 'podwire.test/pause:1'

const configOf = ({ dir, binDir, confDir }: Machine) => `
version = 2
root = "${dir}/root"
state = "${dir}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "${dir}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  disable_apparmor = true
  disable_cgroup = true
  restrict_oom_score_adj = true
  enable_selinux = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${binDir}"
    conf_dir = "${confDir}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
`

export async function startContainerd(machine: Machine): Promise<Containerd> {
  const config = join(machine.dir, 'containerd.toml')
  writeFileSync(config, configOf(machine))
  mkdirSync(join(machine.dir, 'logs'), { recursive: true })
  const start = async () => {
    const child = machine.start(
      'sh',
      '-c',
      'echo "pid=$$" >&2; exec "$@"',
      'sh',
      'containerd',
      '--config',
      config,
    )
    let log = ''
    child.stderr?.on('data', (chunk) => {
      log += chunk
      if (process.env['PODWIRE_TEST_LOG']) process.stderr.write(chunk)
    })
    const closed = once(child, 'close')
    // It listens before it knows its pods.
    while (!log.includes('Start streaming server')) {
      const ended = await Promise.race([
        once(child.stderr as NodeJS.ReadableStream, 'data').then(() => false),
        closed.then(() => true),
      ])
      if (ended) throw new Error(log)
    }
    return { pid: /^pid=(\d+)$/m.exec(log)?.[1] ?? '', closed }
  }
  let running = await start()
  const archive = join(machine.dir, 'pause.tar')
  if (!existsSync(archive)) {
    writeFileSync(archive, pauseImage(IMAGE))
    const socket = ['--address', `${machine.dir}/containerd.sock`]
    await machine.run(
      'ctr',
      ...socket,
      '-n',
      'k8s.io',
      'images',
      'import',
      '--snapshotter',
      'native',
      archive,
    )
  }

  const definition = loadSync(new URL('cri.proto', import.meta.url).pathname, {
    keepCase: true,
    defaults: true,
  })
  // Made of the file beside, which knows these names; the library can't.
  const { runtime } = loadPackageDefinition(definition) as unknown as {
    runtime: { v1: { RuntimeService: new (address: string, secret: unknown) => Client & Calls } }
  }
  const client = new runtime.v1.RuntimeService(
    `unix://${machine.dir}/containerd.sock`,
    credentials.createInsecure(),
  )
  const ask = <Answer>(method: keyof Calls, request: object) =>
    new Promise<Answer>((resolve, reject) => {
      const options = { deadline: Date.now() + 120_000 }
      client[method](request, new Metadata({ waitForReady: true }), options, (error, answer) =>
        error ? reject(error) : resolve(answer as Answer),
      )
    })
  let attempt = 0
  const byId = (id: string) => ({ pod_sandbox_id: id })

  return {
    run: async ({ name, hostPort, annotations = {} }) => {
      const { pod_sandbox_id: id } = await ask<{ pod_sandbox_id: string }>('RunPodSandbox', {
        config: {
          // A name is taken until its pod is gone, and a test may be tried again.
          metadata: { name, uid: `uid-${name}`, namespace: 'default', attempt: attempt++ },
          log_directory: `${machine.dir}/logs`,
          port_mappings:
            hostPort === undefined ? [] : [{ protocol: 0, container_port: 80, host_port: hostPort }],
          annotations,
          linux: { security_context: { privileged: true } },
        },
      })
      return id
    },
    stop: (id) => ask('StopPodSandbox', byId(id)),
    remove: (id) => ask('RemovePodSandbox', byId(id)),
    status: async (id) => {
      const { status } = await ask<{ status: { state: number; network?: { ip: string } } }>(
        'PodSandboxStatus',
        byId(id),
      )
      return { ip: status.network?.ip ?? '', ready: status.state === 0 }
    },
    list: async () => {
      const { items = [] } = await ask<{ items?: { id: string }[] }>('ListPodSandbox', {})
      return items.map(({ id }) => id)
    },
    network: async () => {
      const { status } = await ask<{
        status: { conditions: { type: string; status: boolean; message: string }[] }
      }>('Status', {})
      const found = status.conditions.find(({ type }) => type === 'NetworkReady')
      return { ready: found?.status === true, message: found?.message ?? '' }
    },
    restart: async () => {
      // Its own process, and not those that hold the sandboxes.
      await machine.run('kill', '-9', running.pid)
      await running.closed
      running = await start()
    },
    close: () => client.close(),
  }
}

type Call = (
  request: object,
  metadata: Metadata,
  options: object,
  done: (error: Error | null, answer: unknown) => void,
) => void
type Calls = Record<
  'RunPodSandbox' | 'StopPodSandbox' | 'RemovePodSandbox' | 'PodSandboxStatus' | 'ListPodSandbox' | 'Status',
  Call
>
