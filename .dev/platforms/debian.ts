import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Architecture } from './architectures.ts'
import { cache, cached, run } from './cache.ts'

/**
 * Debian packages of an architecture, unpacked beside each other and never installed. Which they are is asked with lists of their
 * own, so that this machine's apt stays as it is, whatever architecture it is configured for.
 * @param names of packages; the first dependency stands for a package that is empty
 * @returns the directory with their files, in the layout of a merged /usr
 */
export function debianPackages(architecture: Architecture, name: string, names: readonly string[]): string {
  return cached(`debian/${architecture.debian}/${name}`, (dir) => {
    const options = aptOptions(architecture)
    const debs = join(dir, 'debs')
    mkdirSync(debs)
    run('apt-get', [...options, 'download', ...names.map((one) => filled(options, one))], debs)
    for (const deb of readdirSync(debs)) unpack(join(debs, deb), dir)
  })
}

/** Of a kernel, its image and the modules that networks need; their place depends on Debian's release. */
const wantedOfKernel = [
  './boot/vmlinuz-*',
  ...['./lib', './usr/lib'].flatMap((lib) => [
    `${lib}/modules/*/modules.builtin*`,
    `${lib}/modules/*/modules.order`,
    ...['net', 'lib', 'crypto', 'arch/*/crypto', 'drivers/net/*.ko*', 'drivers/net/wireguard'].map(
      (name) => `${lib}/modules/*/kernel/${name}`,
    ),
  ]),
]

function unpack(deb: string, dir: string): void {
  const root = join(dir, 'root')
  mkdirSync(join(root, 'usr'), { recursive: true })
  const isKernel = /\/linux-image-[^/]*$/.test(deb)
  const patterns = isKernel
    ? ['--wildcards --no-wildcards-match-slash', ...wantedOfKernel.map((one) => `'${one}'`)]
    : []
  // Into /usr, wherever the package has them.
  const merge = `--transform 's#^\\./\\(lib\\|lib64\\|bin\\|sbin\\)/#./usr/\\1/#S'`
  const tar = `tar -x --no-same-owner -C "$1" ${merge} --exclude='./usr/share/*' ${patterns.join(' ')}`
  // tar exits with 2 for a pattern that this kernel has nothing for; an archive that is cut short makes dpkg-deb fail.
  const unmatched = isKernel ? '; [ $? -le 2 ]' : ''
  run('bash', ['-c', `set -o pipefail; dpkg-deb --fsys-tarfile "$2" | (${tar}${unmatched})`, 'sh', root, deb])
}

const updated = new Set<string>()

function aptOptions({ debian }: Architecture): string[] {
  const dir = join(cache, 'apt', debian)
  const options = optionsFor(dir, debian)
  // Old lists name packages that are no longer there.
  if (updated.has(debian)) return options
  for (const one of ['lists/partial', 'archives/partial']) mkdirSync(join(dir, one), { recursive: true })
  writeFileSync(join(dir, 'status'), '')
  run('apt-get', [...options, 'update'])
  updated.add(debian)
  return options
}

function optionsFor(dir: string, debian: string): string[] {
  const settings = {
    'Dir::State': dir,
    'Dir::State::status': join(dir, 'status'),
    'Dir::State::lists': join(dir, 'lists'),
    'Dir::Cache': dir,
    'APT::Architecture': debian,
    'APT::Architectures': debian,
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
  }
  return Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
}

/** The package itself, or the kernel that the empty package of that name stands for. */
function filled(options: readonly string[], name: string): string {
  if (!name.startsWith('linux-image-')) return name
  const depends = run('apt-cache', [...options, 'depends', name])
  return /Depends: (linux-image-\d\S*)/.exec(depends)?.[1] ?? name
}
