import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NetworkHost, PodwireConfig, SandboxRecord } from '@podwire/core'
import { installation, loadConfiguration } from '../configuration.ts'
import type { GlobalFlags } from '../flags.ts'
import { stderrLogger } from '../logger.ts'
import { addressesOf } from '../pod.ts'
import { interrupted } from '../signals.ts'
import { problemsOf } from './problems.ts'
import { sourcePackage } from './source-package.ts'
import type { Trial } from './trial.ts'

const pod = { namespace: 'default', name: 'dev' }

/**
 * Loads all that does not depend on the plugin, says so, and waits for word from the parent; then sets a pod up, tears it
 * down, and tells the parent how it went.
 */
export async function runPluginOnce(
  dir: string,
  entry: string | undefined,
  flags: GlobalFlags,
): Promise<number> {
  // A checkout's bin has registered it.
  if (!import.meta.url.endsWith('.ts')) (await import('tsx/esm/api')).register()
  const core = await import('@podwire/core')
  const tell = (message: 'ready' | Trial) =>
    new Promise<void>(
      (resolve) => process.send?.(message, undefined, undefined, () => resolve()) ?? resolve(),
    )
  const told = once(process, 'message', { signal: interrupted })
  await tell('ready')
  await told
  const scratch = mkdtempSync(join(tmpdir(), 'podwire-dev-'))
  let trial: Trial
  try {
    const source = sourcePackage(dir, entry, join(scratch, 'package'))
    const { configuration, name } = await configurationFor(source, scratch, flags)
    const log = stderrLogger(flags.verbose ?? false)
    const host = await core.createNetworkHost({ config: configuration, installation: installation(), log })
    trial = await tryPod(host, name)
  } catch (error) {
    trial = { ok: false, problems: problemsOf(error, dir) }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  await tell(trial)
  process.disconnect?.()
  return trial.ok ? 0 : 1
}

/** The options that the package's own configuration has for it, its pod CIDR, and nothing else of it. */
async function configurationFor(
  { manifest, dir }: ReturnType<typeof sourcePackage>,
  scratch: string,
  flags: GlobalFlags,
): Promise<{ configuration: PodwireConfig; name: string }> {
  const { config } = await loadConfiguration(flags)
  const [name = ''] = manifest.plugins === 'dynamic' ? [config.networkPlugin] : manifest.plugins
  const options = config.plugins[manifest.key]
  return {
    name,
    configuration: {
      networkPlugin: name,
      // Nobody else is in these namespaces; which range is free there is only a question of some plugins.
      podCIDR: ['', 'auto'].includes(config.podCIDR) ? '10.88.0.0/16' : config.podCIDR,
      plugins: options === undefined ? {} : { [manifest.key]: options },
      discovery: { packages: [dir] },
      stateDir: join(scratch, 'state'),
    },
  }
}

async function tryPod(host: NetworkHost, plugin: string): Promise<Trial> {
  try {
    const start = performance.now()
    const record = await host.setUpPod(pod, { signal: interrupted })
    const ready = performance.now()
    const interfaces = interfacesIn(record)
    const { capabilities } = await host.plugin()
    const looked = performance.now()
    await host.tearDownPod(pod)
    return {
      ok: true,
      plugin,
      capabilities: capabilities(),
      ips: addressesOf(record),
      interfaces,
      setUpMs: ready - start,
      tearDownMs: performance.now() - looked,
    }
  } finally {
    await host.close()
  }
}

function interfacesIn({ pod: { netns } }: SandboxRecord): string[] {
  const { stdout } = spawnSync('nsenter', [`--net=${netns}`, 'ip', '-brief', 'address'], { encoding: 'utf8' })
  return (stdout ?? '').trimEnd().split('\n')
}
