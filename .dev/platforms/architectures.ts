/** A kind of processor. Node, Debian, QEMU and the C libraries each have names of their own for it. */
export interface Architecture {
  /** Node's and npm's name. */
  readonly name: 'x64' | 'arm64'
  readonly debian: string
  readonly qemu: {
    readonly command: string
    readonly debianPackage: string
    readonly machine: string
    readonly processor: string
  }
  /** The serial port, as the kernel calls it. */
  readonly console: string
  /** As directories of libraries are called by it. */
  readonly triplet: string
}

export const architectures: readonly Architecture[] = [
  {
    name: 'x64',
    debian: 'amd64',
    qemu: {
      command: 'qemu-system-x86_64',
      debianPackage: 'qemu-system-x86',
      machine: 'q35',
      processor: 'qemu64',
    },
    console: 'ttyS0',
    triplet: 'x86_64-linux',
  },
  {
    name: 'arm64',
    debian: 'arm64',
    qemu: {
      command: 'qemu-system-aarch64',
      debianPackage: 'qemu-system-arm',
      machine: 'virt',
      processor: 'cortex-a72',
    },
    console: 'ttyAMA0',
    triplet: 'aarch64-linux',
  },
]
