import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { isIsolated } from '@podwire/testing'

export const root = new URL('../../..', import.meta.url).pathname

// Tests run in a network of their own, and registries are outside of it.
const outside = ['nsenter', `--net=/proc/${process.ppid}/ns/net`]

/** Whether what is outside can be reached from here: not where the tests have no namespaces, or those of a user. */
export const canReachRegistries =
  isIsolated() && spawnSync(outside[0] ?? '', [...outside.slice(1), 'true']).status === 0

/** How a command ended. */
export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command, in the network of the test or outside of it. */
export async function run(
  cwd: string,
  command: readonly string[],
  { env = process.env, isOutside = false }: { env?: NodeJS.ProcessEnv; isOutside?: boolean } = {},
): Promise<Ended> {
  const [file = '', ...args] = isOutside ? [...outside, ...command] : command
  const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => resolve({ status, stdout, stderr }))
  })
}

/** A registry on loopback. */
export interface Registry {
  /** Runs a command outside with this as npm's registry; rejects with what it printed when it fails. */
  npm(cwd: string, ...command: string[]): Promise<string>
  /** The same, whatever comes of it. */
  tryNpm(cwd: string, ...command: string[]): Promise<Ended>
  stop(): void
}

/**
 * Starts Verdaccio outside of the test's network. What is not of Podwire it takes from the registry that npm is configured
 * with, wherever that is.
 */
export async function startRegistry(dir: string): Promise<Registry> {
  const configured = (await run(dir, ['npm', 'config', 'get', 'registry'])).stdout.trim()
  const free =
    "const s = require('net').createServer().listen(0, '127.0.0.1', () => { console.log(s.address().port); s.close() })"
  const port = (await run(dir, [process.execPath, '-e', free], { isOutside: true })).stdout.trim()
  const ours = { access: '$all', publish: '$all', unpublish: '$all' }
  // JSON is YAML.
  const config = {
    storage: join(dir, 'storage'),
    auth: { htpasswd: { file: join(dir, 'htpasswd') } },
    uplinks: { configured: { url: configured, timeout: '60s', maxage: '60m' } },
    packages: {
      '@podwire/*': ours,
      podwire: ours,
      'podwire-plugin-*': ours,
      'create-podwire-plugin': ours,
      '**': { access: '$all', proxy: 'configured' },
    },
    max_body_size: '50mb',
    log: { type: 'stdout', format: 'pretty', level: 'warn' },
  }
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, 'config.yaml'), JSON.stringify(config))
  writeFileSync(join(dir, '.npmrc'), `//127.0.0.1:${port}/:_authToken=anybody\n`)
  const url = `http://127.0.0.1:${port}/`
  const cache = join(root, 'node_modules/.cache/npm')
  // npx would run what an earlier test has published by the same name and version.
  rmSync(join(cache, '_npx'), { recursive: true, force: true })
  const env = {
    ...process.env,
    npm_config_registry: url,
    npm_config_userconfig: join(dir, '.npmrc'),
    // What was fetched once is there by its checksum, whatever port it came from.
    npm_config_cache: cache,
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    NO_COLOR: '1',
    PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH']}`,
  }
  const main = join(
    dirname(createRequire(import.meta.url).resolve('verdaccio/package.json')),
    'bin/verdaccio',
  )
  const args = [
    ...outside.slice(1),
    process.execPath,
    main,
    '--config',
    join(dir, 'config.yaml'),
    '--listen',
    url,
  ]
  const server = spawn(outside[0] ?? '', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let log = ''
  server.stdout.on('data', (chunk) => {
    log += chunk
  })
  const npm = async (cwd: string, ...command: string[]) => run(cwd, command, { env, isOutside: true })
  for (const end = Date.now() + 60_000; ; ) {
    if ((await npm(dir, 'npm', 'ping', '--fetch-retries=0')).status === 0) break
    if (Date.now() > end || server.exitCode !== null) throw new Error(`the registry did not start: ${log}`)
  }
  return {
    tryNpm: npm,
    npm: async (cwd, ...command) => {
      const { status, stdout, stderr } = await npm(cwd, ...command)
      if (status === 0) return stdout
      throw new Error(`${command.join(' ')}: exit code ${status}\n${stdout}${stderr}${log}`)
    },
    stop: () => server.kill(),
  }
}

/** Builds and packs all that is published, as a release does, and publishes it there. */
export async function publishAll(registry: Registry, dir: string): Promise<void> {
  const tarballs = join(dir, 'tarballs')
  const filters = ['packages', 'plugins'].flatMap((parent) =>
    readdirSync(join(root, parent)).map((name) => `--filter=./${parent}/${name}`),
  )
  await registry.npm(root, 'turbo', 'run', 'build', '--output-logs=errors-only', ...filters)
  const pack = await run(root, [
    'node_modules/.bin/pnpm',
    '--silent',
    ...filters,
    'pack',
    '--pack-destination',
    tarballs,
  ])
  if (pack.status !== 0) throw new Error(pack.stdout + pack.stderr)
  for (const name of readdirSync(tarballs)) {
    // A private package is packed too, and is no part of a release.
    const { status, stderr } = await registry.tryNpm(tarballs, 'npm', 'publish', join(tarballs, name))
    if (status !== 0 && !stderr.includes('EPRIVATE')) throw new Error(`npm publish ${name}: ${stderr}`)
  }
}
