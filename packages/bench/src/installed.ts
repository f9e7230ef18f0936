import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectNetworkHost } from '@podwire/client'
import type { PodwireConfig } from '@podwire/core'

/** The directory where podwire is installed from tarballs, as a user has it, and its command line. */
export function installedPodwire(): { readonly dir: string; readonly podwire: string } {
  const dir = process.env['PODWIRE_BENCH_INSTALLED']
  if (!dir) throw new Error('there is no installed podwire: npm run bench makes one')
  return { dir, podwire: join(dir, 'node_modules/podwire/bin/podwire.js') }
}

/** `podwire daemon`, as a user has it. */
export async function startDaemon(stateDir: string, config: PodwireConfig) {
  const file = `${stateDir}.config.json`
  writeFileSync(file, JSON.stringify(config))
  const { podwire } = installedPodwire()
  const args = [podwire, 'daemon', '--config', file, '--state-dir', stateDir]
  const started = performance.now()
  const child = spawn(process.execPath, args, { stdio: 'ignore' })
  while (!(await isReady(join(stateDir, 'podwire.sock')))) {
    if (child.exitCode !== null) throw new Error(`podwire daemon exited with ${child.exitCode}`)
    await sleep(2)
  }
  return { process: child, startedMs: performance.now() - started }
}

async function isReady(socket: string): Promise<boolean> {
  if (!existsSync(socket)) return false
  const host = await connectNetworkHost({ socket }).catch(() => undefined)
  await host?.close()
  return host !== undefined
}

export async function endDaemon(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM')
  await once(child, 'exit')
}
