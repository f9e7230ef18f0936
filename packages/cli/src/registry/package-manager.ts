import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { errors } from '../errors.ts'
import { interrupted } from '../signals.ts'

/** What installs the packages of a project. */
export type PackageManager = 'npm' | 'pnpm' | 'yarn' | 'yarn-berry'

const lockFiles = [
  ['pnpm-lock.yaml', 'pnpm'],
  ['yarn.lock', 'yarn'],
  ['package-lock.json', 'npm'],
  ['npm-shrinkwrap.json', 'npm'],
] as const

/**
 * By the nearest directory from `dir` upwards that says it, in `packageManager` of its package.json or else by a lock file;
 * else who started this process, else npm.
 */
export function packageManagerOf(dir: string, env: NodeJS.ProcessEnv = process.env): PackageManager {
  const found =
    upwards(dir)
      .map(managerOf)
      .find((manager) => manager !== undefined) ??
    /^(npm|pnpm|yarn)\//.exec(env['npm_config_user_agent'] ?? '')?.[1]
  if (found === 'yarn' && upwards(dir).some((one) => existsSync(join(one, '.yarnrc.yml'))))
    return 'yarn-berry'
  return found === 'pnpm' || found === 'yarn' || found === 'yarn-berry' ? found : 'npm'
}

/** The directory of the nearest package.json from `dir` upwards; `dir` itself where there is none. */
export function projectDirOf(dir: string): string {
  return upwards(dir).find((one) => existsSync(join(one, 'package.json'))) ?? dir
}

/**
 * Adds packages to a project; their install scripts run only when that is allowed. What it prints goes to stderr.
 * @throws PodwireError `INSTALL_FAILED`
 */
export async function addPackages(
  dir: string,
  specs: readonly string[],
  allowScripts: boolean,
): Promise<void> {
  const manager = packageManagerOf(dir)
  const quiet = allowScripts ? [] : [manager === 'yarn-berry' ? '--mode=skip-build' : '--ignore-scripts']
  await run(
    manager,
    manager === 'npm'
      ? ['install', '--no-audit', '--no-fund', ...quiet, ...specs]
      : ['add', ...quiet, ...specs],
    dir,
  )
}

/**
 * Takes packages out of a project.
 * @throws PodwireError `INSTALL_FAILED`
 */
export async function removePackages(dir: string, names: readonly string[]): Promise<void> {
  const manager = packageManagerOf(dir)
  const verb = manager === 'npm' ? ['uninstall', '--no-audit', '--no-fund', '--ignore-scripts'] : ['remove']
  await run(manager, [...verb, ...names], dir)
}

async function run(manager: PackageManager, args: readonly string[], cwd: string): Promise<void> {
  const file = manager === 'yarn-berry' ? 'yarn' : manager
  const child = spawn(file, args, { cwd, stdio: ['ignore', 2, 2], signal: interrupted })
  const [code] = await once(child, 'close').catch((cause: unknown) => {
    interrupted.throwIfAborted()
    throw errors.INSTALL_FAILED(
      { command: [file, ...args].join(' '), reason: 'it could not be started' },
      cause,
    )
  })
  if (code !== 0)
    throw errors.INSTALL_FAILED({ command: [file, ...args].join(' '), reason: `exit code ${code}` })
}

/** What the directory itself says of it. */
const managerOf = (dir: string): string | undefined =>
  stated(dir) ?? lockFiles.find(([file]) => existsSync(join(dir, file)))?.[1]

function stated(dir: string): string | undefined {
  const named = packageManagerField(join(dir, 'package.json'))
  const [, name, major] = /^(npm|pnpm|yarn)@(\d+)/.exec(named) ?? []
  return name === 'yarn' && Number(major) > 1 ? 'yarn-berry' : name
}

function packageManagerField(file: string): string {
  try {
    return String(JSON.parse(readFileSync(file, 'utf8')).packageManager ?? '')
  } catch {
    // No such file, or one that says nothing.
    return ''
  }
}

function upwards(dir: string): string[] {
  const parent = dirname(dir)
  return [dir, ...(parent === dir ? [] : upwards(parent))]
}
