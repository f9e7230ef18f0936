import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  accessSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hasMachineUsers } from '@podwire/api/files'
import { isIsolated } from '@podwire/testing'
import { expect, test } from 'vitest'
import { builtCommandLine } from '../../../.dev/built-workspace.ts'

const example = new URL('..', import.meta.url).pathname
// As it is published: with the executable for runtimes.
const bin = builtCommandLine()
const readme = readFileSync(`${example}README.md`, 'utf8')
/** The group of podman's containers in each hierarchy, where the machine had none before. */
const cgroups = ['', ...(existsSync('/sys/fs/cgroup') ? readdirSync('/sys/fs/cgroup') : [])]
  .map((name) => join('/sys/fs/cgroup', name, 'libpod_parent'))
  .filter((path) => !existsSync(path))

function removeCgroups(): void {
  for (const path of cgroups) {
    try {
      for (const inner of readdirSync(path, { withFileTypes: true }))
        if (inner.isDirectory()) rmdirSync(join(path, inner.name))
      rmdirSync(path)
    } catch {
      // There is none, or a container is just leaving it.
    }
  }
}

const missing = [
  '/usr/bin/podman',
  '/usr/bin/conmon',
  '/usr/sbin/runc',
  '/bin/busybox',
  '/usr/lib/cni/loopback',
].filter((path) => {
  try {
    accessSync(path)
    return false
  } catch {
    return true
  }
})
const can = isIsolated() && process.getuid?.() === 0 && hasMachineUsers() && missing.length === 0
if (!can)
  console.warn(`the podman example is skipped: it needs root and ${missing.join(', ') || 'namespaces'}`)

test.skipIf(!can)('each command of the README works, in its order', { timeout: 240_000 }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-podman-'))
  try {
    mkdirSync(join(dir, 'bin'))
    writeFileSync(join(dir, 'bin/podwire'), `#!/bin/sh\nexec '${process.execPath}' '${bin}' "$@"\n`, {
      mode: 0o755,
    })
    execFileSync('cp', [
      `${example}README.md`,
      `${example}podwire.config.json`,
      `${example}containers.conf`,
      dir,
    ])
    const commands = [...readme.matchAll(/```sh run\n(.*?)```/gs)].map(([, text = '']) => text).join('')
    expect(commands.split('\n').length).toBeGreaterThan(8)
    // A machine whose /etc and plugins are written to and gone afterwards, with what an init system would have started.
    const script = `set -e
      mkdir -p /run/m/etc /run/m/etc-work /run/m/cni /run/m/cni-work
      mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/m/etc,workdir=/run/m/etc-work /etc
      mount -t overlay overlay -o lowerdir=/usr/lib/cni,upperdir=/run/m/cni,workdir=/run/m/cni-work /usr/lib/cni
      mkdir -p /etc/containers/containers.conf.d
      printf '[containers]\\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\\n' > /etc/containers/containers.conf.d/limits.conf
      printf '[storage]\ndriver = "vfs"\nrunroot = "/run/containers"\ngraphroot = "/var/lib/containers"\n' > /etc/containers/storage.conf
      PATH='${dir}/bin':$PATH
      cd '${dir}'
      set -x
      ${commands}`
    const child = spawn(
      'unshare',
      ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', script],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    let printed = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        printed += chunk
      })
    const [code] = await once(child, 'exit')
    expect(printed).toMatch(/\bpodwire +podwire\b/)
    expect(printed).toMatch(/cni\/web +ready +10\.88\.0\.\d+ +8080/)
    expect(printed).toContain('# Containers of podman')
    expect(printed).toMatch(/podwire.conflist is gone/)
    expect([code, code === 0 ? '' : printed]).toEqual([0, ''])
  } finally {
    removeCgroups()
    rmSync(dir, { recursive: true, force: true })
  }
})
