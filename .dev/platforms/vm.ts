import { spawn, spawnSync } from 'node:child_process'
import { createWriteStream, existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Architecture } from './architectures.ts'
import { cache } from './cache.ts'
import type { Image } from './image.ts'
import type { TestResult } from './result.ts'

/** What runs a machine's code: this processor itself, or QEMU in software, which takes some twenty times as long. */
export type Accelerator = 'kvm' | 'tcg'

/** KVM where it works: a kernel that finds no root panics at once there, and that ends QEMU. */
export function acceleratorFor({ architecture, kernel }: Image): Accelerator {
  if (architecture.name !== process.arch || !existsSync('/dev/kvm')) return 'tcg'
  const args = argumentsFor(architecture, 'kvm', kernel, [])
  const { stdout } = spawnSync(architecture.qemu.command, args, {
    encoding: 'utf8',
    timeout: 20_000,
    killSignal: 'SIGKILL',
  })
  return /Kernel panic/.test(stdout ?? '') ? 'kvm' : 'tcg'
}

function argumentsFor(
  { qemu, console }: Architecture,
  accelerator: Accelerator,
  kernel: string,
  parameters: readonly string[],
): string[] {
  const hardware = `-M ${qemu.machine} -cpu ${qemu.processor} -accel ${accelerator} -smp 1 -m 1536`
  const devices = '-nodefaults -no-reboot -display none -serial stdio'
  const append = ['panic=-1', 'loglevel=4', `console=${console}`, ...parameters].join(' ')
  return [...`${hardware} ${devices}`.split(' '), '-kernel', kernel, '-append', append]
}

/** What the machine says of itself. */
interface Machine {
  readonly kernel: string
  readonly node: string
  readonly hasIpv6: boolean
}

/** A line of the smoke test. */
type Report = TestResult | { readonly machine: Machine } | { readonly end: true }

/**
 * Boots a virtual machine that runs the smoke test and turns itself off.
 * @param options.parameters more of them for the kernel
 */
export async function boot(
  { architecture, kernel, initramfs }: Image,
  options: {
    readonly accelerator: Accelerator
    readonly parameters: readonly string[]
    onMachine(machine: Machine): void
    onResult(result: TestResult): void
  },
): Promise<void> {
  const { qemu, name } = architecture
  const { accelerator, parameters } = options
  const deadlineMs = accelerator === 'kvm' ? 300_000 : 1_800_000
  const args = argumentsFor(architecture, accelerator, kernel, ['rdinit=/init', ...parameters])
  // The deadline holds when this process is gone, too.
  const within = ['--signal=KILL', `${deadlineMs / 1000}`]
  const child = spawn('timeout', [...within, qemu.command, ...args, '-initrd', initramfs], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<string>((resolve) => {
    child.on('error', ({ message }) => resolve(message))
    child.on('close', (code, signal) =>
      resolve(code === 137 ? `ended after ${deadlineMs / 1000} s` : `QEMU: ${signal ?? `exit code ${code}`}`),
    )
  })
  const log = join(cache, ['console', name, ...parameters].join('-'))
  const output = createWriteStream(log)
  child.stderr.pipe(output, { end: false })
  let isWhole = false
  for await (const line of createInterface({ input: child.stdout })) {
    output.write(`${line}\n`)
    const report = reportIn(line)
    if (!report) continue
    if ('end' in report) isWhole = true
    else if ('machine' in report) options.onMachine(report.machine)
    else options.onResult(report)
  }
  const how = await ended
  output.end()
  if (!isWhole) options.onResult({ name: 'the smoke test runs to its end', error: `${how}; see ${log}` })
}

/** What a line of the serial console says of the smoke test, if anything. The kernel writes there too. */
function reportIn(line: string): Report | undefined {
  const start = line.indexOf('@@ {')
  if (start < 0) return undefined
  try {
    return JSON.parse(line.slice(start + 3)) as Report // guest/smoke.mjs wrote it
  } catch {
    return undefined
  }
}
