import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Manifest, packedPackages } from '../packed-packages.ts'
import { packInstalled } from './installed.ts'

const root = new URL('../..', import.meta.url).pathname

/** How a command ended. */
export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A registry on loopback, which asks no other. */
export interface Registry {
  /** The environment of commands that use it. */
  readonly env: NodeJS.ProcessEnv
  /** What it has complained of. */
  log(): string
  stop(): void
}

/**
 * Starts Verdaccio in the network of the test, and publishes to it all of Podwire, and what that needs of others as it is
 * installed in this workspace: nothing from outside has a part in the test.
 * @param dir where it keeps everything, the caches of npm and pnpm among it
 */
export async function startRegistry(dir: string): Promise<Registry> {
  const packed = packedPackages()
  mkdirSync(dir, { recursive: true })
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/`
  const everybody = { access: '$all', publish: '$all', unpublish: '$all' }
  const config = {
    storage: join(dir, 'storage'),
    auth: { htpasswd: { file: join(dir, 'htpasswd') } },
    packages: { '@*/*': everybody, '**': everybody },
    max_body_size: '500mb',
    log: { type: 'stdout', format: 'pretty', level: 'warn' },
  }
  // JSON is YAML.
  writeFileSync(join(dir, 'config.yaml'), JSON.stringify(config))
  // Of all that is in this workspace, the package manager alone.
  mkdirSync(join(dir, 'bin'))
  const store = `npm_config_store_dir='${join(dir, 'pnpm-store')}'`
  const pnpm = `#!/bin/sh\n${store} exec '${join(root, 'node_modules/.bin/pnpm')}' "$@"\n`
  writeFileSync(join(dir, 'bin/pnpm'), pnpm, { mode: 0o755 })
  writeFileSync(join(dir, '.npmrc'), `//127.0.0.1:${port}/:_authToken=anybody\n`)
  const main = join(root, 'packages/create-plugin/node_modules/verdaccio/bin/verdaccio')
  const args = [main, '--config', join(dir, 'config.yaml'), '--listen', url]
  // It ends with the test, however that ends.
  const server = spawn('setpriv', ['--pdeathsig=KILL', process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let log = ''
  server.stdout.on('data', (chunk) => {
    log += chunk
  })
  try {
    for (const end = Date.now() + 60_000; !(await isUp(url)); await sleep(100))
      if (Date.now() > end || server.exitCode !== null) throw new Error('it did not start')
    for (const { manifest, tarball } of packed) await publish(url, manifest, readFileSync(tarball))
    for (const { manifest, tarball } of packInstalled()) await publish(url, manifest, tarball)
  } catch (cause) {
    server.kill()
    throw new Error(`the registry: ${log}`, { cause })
  }
  return { env: environment(url, dir), log: () => log, stop: () => server.kill() }
}

/** Runs a command; never rejects for how it ends. */
export async function run(cwd: string, command: readonly string[], env = process.env): Promise<Ended> {
  const [file = '', ...args] = command
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

function environment(url: string, dir: string): NodeJS.ProcessEnv {
  const path = (process.env['PATH'] ?? '').split(delimiter)
  // What the npm that runs the tests has told them is not for the npm of somebody else.
  const own = Object.entries(process.env).filter(([name]) => !/^(npm_|INIT_CWD$|VITEST|NODE_ENV$)/.test(name))
  return {
    ...Object.fromEntries(own),
    npm_config_registry: url,
    npm_config_userconfig: join(dir, '.npmrc'),
    npm_config_cache: join(dir, 'npm-cache'),
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    NO_COLOR: '1',
    PATH: [join(dir, 'bin'), ...path.filter((one) => !one.startsWith(root))].join(delimiter),
  }
}

/** As npm publishes a tarball. */
async function publish(url: string, manifest: Manifest, tarball: Buffer): Promise<void> {
  const { name, version } = manifest
  const file = `${name}-${version}.tgz`
  const hash = (algorithm: string, encoding: 'hex' | 'base64') =>
    createHash(algorithm).update(tarball).digest(encoding)
  const dist = {
    shasum: hash('sha1', 'hex'),
    integrity: `sha512-${hash('sha512', 'base64')}`,
    tarball: `${url}${name}/-/${file}`,
  }
  const response = await fetch(url + name.replace('/', '%2f'), {
    method: 'PUT',
    // Between two of them the tests do something else for longer than a connection is kept.
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({
      _id: name,
      name,
      'dist-tags': { latest: version },
      versions: { [version]: { ...manifest, _id: `${name}@${version}`, dist } },
      _attachments: {
        [file]: {
          content_type: 'application/octet-stream',
          data: tarball.toString('base64'),
          length: tarball.length,
        },
      },
    }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${name}@${version} could not be published: ${response.status} ${text}`)
}

async function isUp(url: string): Promise<boolean> {
  return fetch(`${url}-/ping`).then(
    ({ ok }) => ok,
    () => false,
  )
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number } // It listens to one.
  await new Promise((resolve) => server.close(resolve))
  return port
}
