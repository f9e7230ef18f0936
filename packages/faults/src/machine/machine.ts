import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { withNetns } from '@podwire/netlink'
import { bundleHost } from './bundle.ts'
import type { Operation } from './calls.ts'
import { cleanNetwork } from './clean.ts'
import { type HostClient, startHost } from './host-client.ts'

/** The machine that steps are taken on: this process's network namespace, with host processes beside it. */
export interface Machine {
  /** Where the state directories are, each a small disk of its own. */
  readonly root: string
  readonly kubenet: string
  call(seat: number, operation: Operation): Promise<void>
  /** Kills the host process, and puts a fresh one in its place, without a host yet. */
  kill(seat: number): Promise<void>
  /** Leaves no room in a state directory, or makes it again. */
  fill(stateDir: string, isFull: boolean): void
  /** A process in a network namespace, or beside the hosts: it waits until it is killed. */
  startProcess(netns?: string): ChildProcess
  /** A datagram to a port of the host: the kernel remembers where it went. */
  sendDatagram(port: number): Promise<void>
  /** Ends a process of {@link startProcess}. */
  endProcess(pid: number): Promise<void>
  /** Makes the machine as it was when it was opened. */
  reset(): Promise<void>
  close(): Promise<void>
}

const sizeOfDisk = '512k'

/** @param count how many host processes there are, each in a seat of its own */
export async function openMachine(count: number): Promise<Machine> {
  const bundle = await bundleHost()
  const root = mkdtempSync('/run/faults-')
  const dirs = ['a', 'b'].map((letter) => `${root}/${letter}`)
  const processes = new Set<ChildProcess>()
  const seats = Array.from({ length: count }, () => startHost(bundle))
  // Begun before it is needed, as starting a process takes longer than most steps.
  let spare = startHost(bundle)

  for (const dir of dirs) {
    mkdirSync(dir)
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeOfDisk},mode=0700`, 'tmpfs', dir])
  }

  const clientOf = (seat: number): HostClient => seats[seat]!
  const fillerOf = (dir: string) => `${dir}/filler`

  async function end(child: ChildProcess) {
    processes.delete(child)
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async function kill(seat: number) {
    const killed = clientOf(seat).kill()
    seats[seat] = spare
    spare = startHost(bundle)
    await killed
  }

  async function closeOrKill(seat: number) {
    try {
      await clientOf(seat).call({ method: 'close' })
    } catch {
      await kill(seat)
    }
  }

  return {
    root,
    kubenet: bundle.kubenet,
    call: (seat, operation) => clientOf(seat).call(operation),
    kill,
    fill(dir, isFull) {
      if (!isFull) return rmSync(fillerOf(dir), { force: true })
      for (let size = 64 * 1024; size >= 1; size = Math.floor(size / 2)) {
        try {
          for (;;) writeFileSync(fillerOf(dir), Buffer.alloc(size), { flag: 'a' })
        } catch {
          // As much as that doesn't fit any more.
        }
      }
    },
    startProcess(netns) {
      const start = () => spawn('sleep', ['3600'], { stdio: 'ignore' })
      const child = netns === undefined ? start() : withNetns(netns, start)
      processes.add(child)
      return child
    },
    async sendDatagram(port) {
      const socket = createSocket('udp4')
      await new Promise((resolve) => socket.send('hello', port, '127.0.0.1', resolve))
      socket.close()
    },
    async endProcess(pid) {
      await Promise.all([...processes].filter((child) => child.pid === pid).map(end))
    },
    async reset() {
      await Promise.all([...processes].map(end))
      await Promise.all(seats.map((_, seat) => closeOrKill(seat)))
      await cleanNetwork()
      for (const dir of dirs) execFileSync('find', [dir, '-mindepth', '1', '-delete'])
    },
    async close() {
      await Promise.all([...seats, spare].map((client) => client.kill()))
      await Promise.all([...processes].map(end))
      for (const dir of dirs) execFileSync('umount', [dir])
      rmSync(root, { recursive: true, force: true })
      bundle.remove()
    },
  }
}
