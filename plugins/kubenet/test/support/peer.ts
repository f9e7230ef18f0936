import { type ChildProcess, fork } from 'node:child_process'
import { withNetns } from '@podwire/netlink'

type Protocol = 'tcp' | 'udp'

/** A program in a namespace, or beside the host. */
export interface Peer {
  /** Answers everyone with its label and the address that the question came from. */
  serve(protocol: Protocol, port: number, label: string, host?: string): Promise<void>
  /** The answer, or `timeout` or an error's code. */
  ask(
    protocol: Protocol,
    host: string,
    port: number,
    more?: { localPort?: number; timeout?: number },
  ): Promise<string>
  /** The IPv4 addresses of a name by asking this server, or an error's code. */
  resolve(name: string, server: string): Promise<string>
  /** The same over TCP, or the answer's code. */
  resolveByTcp(name: string, server: string): Promise<string>
  /** Asks for many names at a time, whatever becomes of them. */
  resolveAll(names: readonly string[], server: string): Promise<void>
  /** Answers whoever asks for these names, by UDP and TCP. */
  serveNames(port: number, addresses: Readonly<Record<string, string>>): Promise<void>
  /** Says back each line that it is told, over connections that stay. */
  serveLines(port: number): Promise<void>
  /** A connection to such a server. */
  connectLines(host: string, port: number): Promise<Lines>
  /** Sends datagrams there without end, whatever becomes of them. */
  spray(host: string, port: number): Promise<void>
  /** Sends a datagram from one port to each of so many ports, whatever becomes of them. */
  scatter(host: string, ports: number): Promise<void>
  /** Sends a datagram to each of the addresses that begin so. */
  sweep(prefix: string, port: number, from: number, to: number): Promise<void>
  /** Sends a datagram, from an address of its own or one of the system's choice. */
  say(host: string, port: number, text: string, from?: string): Promise<void>
  /** Takes datagrams in; `heard` tells which came, and from whom. */
  listen(port: number, host: string): Promise<void>
  heard(): Promise<string[]>
  /** Takes in what is poured. */
  sink(port: number): Promise<void>
  /** Sends as fast as it goes. */
  pour(host: string, port: number, milliseconds: number): Promise<void>
  stop(): void
}

/** A connection that stays. */
interface Lines {
  /** What comes back, while the other end is heard at all: what was said, or `nothing`. */
  say(line: string): Promise<string>
}

const script = new URL('./peer-process.mjs', import.meta.url)

export async function startPeer(netns?: string): Promise<Peer> {
  const start = () => fork(script, { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const child = netns === undefined ? start() : withNetns(netns, start)
  const call = callsTo(child)
  await call.ready
  const serve: Peer['serve'] = (protocol, port, label, host) =>
    call<void>('serve', { protocol, port, label, host })
  return {
    serve,
    ask: (protocol, host, port, more) => call('ask', { protocol, host, port, ...more }),
    resolve: (name, server) => call('resolve', { name, server }),
    resolveByTcp: (name, server) => call('resolveByTcp', { name, server }),
    resolveAll: (names, server) => call('resolveAll', { names, server }),
    serveNames: (port, addresses) => call('serveNames', { port, addresses }),
    serveLines: (port) => call('serveLines', { port }),
    async connectLines(host, port) {
      await call('connectLines', { host, port })
      return { say: (line) => call('sayLine', { line }) }
    },
    spray: (host, port) => call('spray', { host, port }),
    scatter: (host, ports) => call('scatter', { host, ports }),
    sweep: (prefix, port, from, to) => call('sweep', { prefix, port, from, to }),
    say: (host, port, text, from) => call('say', { host, port, text, from }),
    listen: (port, host) => call('listen', { port, host }),
    heard: () => call('heard', {}),
    sink: (port) => call('sink', { port }),
    pour: (host, port, milliseconds) => call('pour', { host, port, milliseconds }),
    stop: () => void child.kill(),
  }
}

export const wait = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

function callsTo(child: ChildProcess) {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  const answerTo = (id: number) => new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
  const ready = answerTo(0)
  let last = 0
  child.on('message', (message) => {
    const { id, result, error } = message as { id: number; result?: unknown; error?: string } // peer-process.mjs's own
    if (error === undefined) waiting.get(id)?.resolve(result)
    else waiting.get(id)?.reject(new Error(error))
  })
  const call = <T>(command: string, options: object): Promise<T> => {
    child.send({ id: ++last, command, options })
    return answerTo(last) as Promise<T> // each command's result is what its caller names
  }
  return Object.assign(call, { ready })
}
