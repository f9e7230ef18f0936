import { expect } from 'vitest'
import { testRuntimeReadme } from '../../../.dev/runtime-readme.ts'

testRuntimeReadme({
  example: new URL('..', import.meta.url).pathname,
  files: ['podwire.config.json'],
  programs: [
    '/usr/bin/containerd',
    '/usr/bin/ctr',
    '/usr/sbin/runc',
    '/bin/busybox',
    '/usr/lib/cni/loopback',
  ],
  before: `containerd >/run/containerd.log 2>&1 &
    until [ -S /run/containerd/containerd.sock ]; do sleep 0.1; done`,
  check(printed) {
    expect(printed).toMatch(/inet 10\.88\.0\.\d+\/32/)
    expect(printed).toMatch(/podwire.conflist is gone/)
  },
})
