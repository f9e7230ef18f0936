import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Architecture } from './architectures.ts'
import { cache } from './cache.ts'
import { debianPackages } from './debian.ts'
import { createInitramfs } from './initramfs.ts'
import { installedProject, nodeBinary } from './project.ts'

/** What a virtual machine boots: two files. */
export interface Image {
  readonly architecture: Architecture
  readonly kernel: string
  readonly initramfs: string
}

const guest = new URL('guest/', import.meta.url).pathname

/** Debian's kernel, and a root with busybox, Node, etcd, wg, the smoke tests, and a project where npm installed podwire. */
export function buildImage(architecture: Architecture): Image {
  const kernel = debianPackages(architecture, 'kernel-with-wireguard', [`linux-image-${architecture.debian}`])
  const libraries = ['libc6', 'libgcc-s1', 'libstdc++6']
  const programs = debianPackages(architecture, 'programs-of-nodes', [
    'busybox-static',
    'etcd-server',
    'wireguard-tools',
    ...libraries,
  ])
  const initramfs = join(cache, `initramfs-${architecture.name}`)
  const archive = createInitramfs(initramfs)
  archive.tree('usr', join(programs, 'root/usr'))
  archive.tree('usr/lib/modules', join(kernel, 'root/usr/lib/modules'))
  for (const name of ['bin', 'lib', 'lib64']) archive.link(name, `usr/${name}`)
  // The kernel calls /sbin/modprobe, and busybox is told of one directory.
  archive.link('sbin', 'usr/bin')
  for (const name of ['dev', 'proc', 'sys', 'run', 'tmp', 'root', 'etc', 'var/lib']) archive.directory(name)
  archive.file('usr/local/bin/node', readFileSync(nodeBinary(architecture)), 0o755)
  archive.tree('srv/project', installedProject(architecture))
  archive.tree('srv/smoke', guest)
  archive.file('init', readFileSync(join(guest, 'init')), 0o755)
  archive.close()
  const boot = join(kernel, 'root/boot')
  const [image] = readdirSync(boot)
  if (!image) throw new Error(`no kernel in ${boot}`)
  return { architecture, kernel: join(boot, image), initramfs }
}
