import { getPriority, setPriority } from 'node:os'
import { installDebianPackages, isInstalled } from '../debian-packages.mjs'
import { type Architecture, architectures } from './architectures.ts'
import { buildImage } from './image.ts'
import { tryMusl } from './musl.ts'
import type { TestResult } from './result.ts'
import { tryShims } from './shim.ts'
import { acceleratorFor, boot } from './vm.ts'

const MUSL = 'musl'
const SHIM = 'shim'
const isDebian = isInstalled('apt-get') && isInstalled('dpkg-deb')

/** How Linux is started, as far as it makes a difference to podwire; and which of the tests it runs, where not all of them. */
const kernels = [
  { parameters: [] },
  { parameters: ['ipv6.disable=1'] },
  { parameters: ['smoke=wireguard'] },
  { parameters: ['smoke=wireguard', 'ipv6.disable=1'] },
]

/**
 * Runs the smoke tests, one machine at a time, and prints a line for each.
 * @param wanted names of platforms: `x64`, `arm64`, `musl`, `shim`; all, where there are none
 * @returns an exit code
 */
export async function testPlatforms(wanted: readonly string[]): Promise<number> {
  const names = [...architectures.map(({ name }) => name), MUSL, SHIM]
  const unknown = wanted.find((one) => !names.some((name) => name === one))
  if (unknown !== undefined) {
    console.error(`test:platforms: takes ${names.join(', ')}, not ${JSON.stringify(unknown)}`)
    return 2
  }
  const chosen = wanted.length > 0 ? wanted : names
  // Emulation takes a processor for many minutes: all that is started from here leaves it to whoever else wants it.
  setPriority(Math.max(getPriority(), 15))
  const { counts, tell } = createCounter()
  const machines = architectures.filter(({ name }) => chosen.includes(name))
  installDebianPackages(
    machines.map(({ qemu }) => ({ command: qemu.command, package: qemu.debianPackage })),
    'test:platforms',
  )
  for (const architecture of machines) await tryKernels(architecture, tell)
  if (chosen.includes(SHIM)) {
    console.log('\nthe CNI shim, emulated')
    await tryShims(tell)
  }
  if (chosen.includes(MUSL)) for (const architecture of architectures) tryLibc(architecture, tell)
  console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
  return counts.failed > 0 ? 1 : 0
}

type Tell = (result: TestResult) => void

async function tryKernels(architecture: Architecture, tell: Tell): Promise<void> {
  const { name, qemu } = architecture
  console.log(`\n${name}`)
  if (!isInstalled(qemu.command) || !isDebian) {
    const skipped = `needs ${qemu.command}, and Debian's apt`
    for (const { parameters } of kernels)
      tell({ name: ['a virtual machine', ...parameters].join(', '), skipped })
    return
  }
  try {
    const image = buildImage(architecture)
    const accelerator = acceleratorFor(image)
    for (const { parameters } of kernels)
      await boot(image, {
        accelerator,
        parameters,
        onMachine: ({ kernel, node }) => {
          const by = accelerator === 'kvm' ? 'by KVM' : 'emulated'
          console.log([`\n${name}: Linux ${kernel}`, ...parameters, `Node ${node}`, by].join(', '))
        },
        onResult: tell,
      })
  } catch (error) {
    tell({ name: 'a virtual machine is made', error: String(error) })
  }
}

function tryLibc(architecture: Architecture, tell: Tell): void {
  console.log(`\n${MUSL}, ${architecture.name}`)
  try {
    if (!isDebian) tell({ name: 'whether the parts fit together', skipped: "needs Debian's apt" })
    else for (const result of tryMusl(architecture)) tell(result)
  } catch (error) {
    tell({ name: 'the parts are there', error: String(error) })
  }
}

function createCounter() {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const tell: Tell = ({ name, ms, error, skipped }) => {
    const what = error !== undefined ? 'failed' : skipped !== undefined ? 'skipped' : 'passed'
    counts[what]++
    const time = ms === undefined ? '' : ` (${(ms / 1000).toFixed(1)} s)`
    console.log(`${what.padEnd(7)} ${name}${time}${skipped ? `: ${skipped}` : ''}`)
    if (error !== undefined) console.log(`        ${error.replaceAll('\n', '\n        ')}`)
  }
  return { counts, tell }
}
