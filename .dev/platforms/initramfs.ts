import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const types = { file: 0o100_000, directory: 0o040_000, link: 0o120_000 }

/** Writes the archive that a kernel unpacks as its first root: the "newc" format of cpio. All in it is root's. */
export interface Initramfs {
  file(path: string, content: Buffer | string, mode: number): void
  link(path: string, target: string): void
  directory(path: string): void
  /** A directory of this machine with all that is in it. */
  tree(path: string, source: string): void
  close(): void
}

export function createInitramfs(archive: string): Initramfs {
  const fd = openSync(archive, 'w')
  const known = new Set<string>()
  let inode = 0

  function entry(path: string, mode: number, content: Buffer = Buffer.alloc(0)) {
    inode++
    const name = Buffer.from(`${path}\0`)
    // Inode, mode, owner, group, links, time, size, four numbers of devices, length of the name, checksum.
    const numbers = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0]
    const header = `070701${numbers.map((one) => one.toString(16).padStart(8, '0')).join('')}`
    writeSync(fd, padded(Buffer.concat([Buffer.from(header), name])))
    for (let from = 0, bytes = padded(content); from < bytes.length; ) from += writeSync(fd, bytes, from)
  }

  function directory(path: string) {
    const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
    if (path === '' || known.has(path)) return
    directory(parent)
    known.add(path)
    entry(path, types.directory | 0o755)
  }

  const within = (path: string) => directory(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '')

  return {
    directory,
    file(path, content, mode) {
      within(path)
      entry(path, types.file | mode, Buffer.from(content))
    },
    link(path, target) {
      within(path)
      entry(path, types.link | 0o777, Buffer.from(target))
    },
    tree(path, source) {
      directory(path)
      for (const name of readdirSync(source)) {
        const from = join(source, name)
        const to = path === '' ? name : `${path}/${name}`
        const stat = lstatSync(from)
        if (stat.isDirectory()) this.tree(to, from)
        else if (stat.isSymbolicLink()) this.link(to, readlinkSync(from))
        else this.file(to, readFileSync(from), stat.mode & 0o777)
      }
    },
    close() {
      entry('TRAILER!!!', 0)
      closeSync(fd)
    },
  }
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}
