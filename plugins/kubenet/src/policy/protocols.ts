/** What people call an IP protocol; its number where it has no name here. */
export const protocolName = (protocol: number): string => names[protocol] ?? String(protocol)

const names: Readonly<Record<number, string>> = {
  1: 'icmp',
  2: 'igmp',
  6: 'tcp',
  17: 'udp',
  47: 'gre',
  58: 'icmp',
  132: 'sctp',
}
