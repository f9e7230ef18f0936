import { existsSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { testRuntimeReadme } from '../../../.dev/runtime-readme.ts'

/** The group of podman's containers in each hierarchy, where the machine had none before. */
const cgroups = ['', ...(existsSync('/sys/fs/cgroup') ? readdirSync('/sys/fs/cgroup') : [])]
  .map((name) => join('/sys/fs/cgroup', name, 'libpod_parent'))
  .filter((path) => !existsSync(path))

testRuntimeReadme({
  example: new URL('..', import.meta.url).pathname,
  files: ['podwire.config.json', 'containers.conf'],
  programs: ['/usr/bin/podman', '/usr/bin/conmon', '/usr/sbin/runc', '/bin/busybox', '/usr/lib/cni/loopback'],
  before: `mkdir -p /etc/containers/containers.conf.d
    printf '[containers]\\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\\n' > /etc/containers/containers.conf.d/limits.conf
    printf '[storage]\\ndriver = "vfs"\\nrunroot = "/run/containers"\\ngraphroot = "/var/lib/containers"\\n' > /etc/containers/storage.conf`,
  check(printed) {
    expect(printed).toMatch(/\bpodwire +podwire\b/)
    expect(printed).toMatch(/cni\/web +ready +10\.88\.0\.\d+ +8080/)
    expect(printed).toContain('# Containers of podman')
    expect(printed).toMatch(/podwire.conflist is gone/)
  },
  after() {
    for (const path of cgroups) {
      try {
        for (const inner of readdirSync(path, { withFileTypes: true }))
          if (inner.isDirectory()) rmdirSync(join(path, inner.name))
        rmdirSync(path)
      } catch {
        // There is none, or a container is just leaving it.
      }
    }
  },
})
