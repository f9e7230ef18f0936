import { spawn } from 'node:child_process'
import { inNamespace } from '@podwire/core'
import { commandNotStarted } from './errors.ts'
import { exitCodeOfSignal } from './signals.ts'

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

/** Runs a command in a namespace with this process's input and output; resolves with its exit code. */
export async function runCommand([file = '', ...args]: readonly string[], netns: string): Promise<number> {
  const child = await inNamespace(netns, () => spawn(file, args, { stdio: 'inherit' }))
  const forward = (signal: NodeJS.Signals) => {
    // A terminal sends its keys' signals to the whole group: the child has them already.
    const fromTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT')
    if (!fromTerminal) child.kill(signal)
  }
  for (const signal of forwarded) process.on(signal, forward)
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', (cause) => reject(commandNotStarted({ command: file, cause })))
      child.once('exit', (code, signal) => resolve(signal ? exitCodeOfSignal(signal) : (code ?? 1)))
    })
  } finally {
    for (const signal of forwarded) process.off(signal, forward)
  }
}
