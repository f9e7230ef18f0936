import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

const BUSYBOX = '/bin/busybox'

/** An image in the layout of `docker save`, of one program that waits. */
export function pauseImage(name: string): Buffer {
  const layer = tar([
    { path: 'bin/', mode: 0o755 },
    { path: 'bin/busybox', mode: 0o755, content: readFileSync(BUSYBOX) },
  ])
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: { Entrypoint: ['/bin/busybox', 'sleep', '1000000'] },
      rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
    }),
  )
  const manifest = Buffer.from(
    JSON.stringify([{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }]),
  )
  return tar([
    { path: 'config.json', mode: 0o644, content: config },
    { path: 'layer.tar', mode: 0o644, content: layer },
    { path: 'manifest.json', mode: 0o644, content: manifest },
  ])
}

interface Entry {
  /** A directory's ends with a slash. */
  readonly path: string
  readonly mode: number
  readonly content?: Buffer
}

/** An archive in the format of POSIX.1-1988 (ustar). */
export function tar(entries: readonly Entry[]): Buffer {
  const parts = entries.flatMap(({ path, mode, content = Buffer.alloc(0) }) => {
    const header = Buffer.alloc(512)
    header.write(path, 0)
    header.write(octal(mode, 7), 100)
    header.write(octal(0, 7), 108)
    header.write(octal(0, 7), 116)
    header.write(octal(content.length, 11), 124)
    header.write(octal(0, 11), 136)
    header.write(' '.repeat(8), 148)
    header.write(path.endsWith('/') ? '5' : '0', 156)
    header.write('ustar\x0000', 257)
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(`${octal(sum, 6)}\0 `, 148)
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]
  })
  return Buffer.concat([...parts, Buffer.alloc(1024)])
}

const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0')
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
