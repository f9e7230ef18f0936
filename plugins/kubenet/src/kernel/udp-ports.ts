import { existsSync, readFileSync } from 'node:fs'

/** Whether a program of this network namespace listens on the UDP port, at whichever address. */
export function isUdpPortOpen(port: number): boolean {
  // `  12: 0101FEA9:D431 00000000:0000 07 …`: the second column is the local address. Without IPv6 there is no udp6.
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return ['/proc/net/udp', '/proc/net/udp6'].filter(existsSync).some((table) =>
    readFileSync(table, 'utf8')
      .split('\n')
      .some((line) => line.trim().split(/\s+/)[1]?.endsWith(end)),
  )
}
