import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type PackedPackage, packedPackages } from '../packed-packages.ts'
import type { Architecture } from './architectures.ts'
import { cache, cached, run } from './cache.ts'

let tarballs: readonly string[] | undefined

/** A project with podwire and its cluster for programs installed by npm, from tarballs as they would be published, for a machine of that architecture. */
export function installedProject(architecture: Architecture): string {
  const packed = join(cache, 'tarballs')
  if (!tarballs) {
    rmSync(packed, { recursive: true, force: true })
    tarballs = neededBy(['podwire', '@podwire/cluster'], packedPackages(packed))
  }
  const dir = join(cache, 'project', architecture.name)
  rmSync(dir, { recursive: true, force: true })
  npmInstall(dir, tarballs, architecture)
  return dir
}

/** The tarballs of packages and of all those of ours that they need. */
function neededBy(names: readonly string[], packages: readonly PackedPackage[]): string[] {
  const needed = new Set(names)
  for (const one of needed)
    for (const { manifest } of packages)
      if (manifest.name === one)
        for (const key of ['dependencies', 'optionalDependencies'])
          for (const other of Object.keys(manifest[key] ?? {})) needed.add(other)
  return packages.filter(({ manifest }) => needed.has(manifest.name)).map(({ tarball }) => tarball)
}

/** The Node that npm has for that architecture, of the same major version as this one. */
export function nodeBinary(architecture: Architecture): string {
  const [major] = process.versions.node.split('.')
  const name = `node-linux-${architecture.name}`
  const dir = cached(`node-${major}/${architecture.name}`, (into) => {
    npmInstall(into, [`${name}@${major}`], architecture)
  })
  return join(dir, 'node_modules', name, 'bin/node')
}

/** From the cache where that has it, so that it works without a network from the second time on. */
function npmInstall(dir: string, specs: readonly string[], { name }: Architecture): void {
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, 'package.json'), '{ "private": true, "type": "module" }\n')
  // npm goes by these for what is optional, and has to be forced to install a Node for another processor.
  const machine = ['--os', 'linux', '--cpu', name, '--libc', 'glibc', '--force']
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--no-package-lock']
  const from = ['--cache', join(cache, 'npm'), '--prefer-offline', '--ignore-scripts']
  run('npm', ['install', ...machine, ...quiet, ...from, ...specs], dir)
}
