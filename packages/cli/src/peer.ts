/** The other end of a flow. */
export interface Peer {
  readonly direction: 'egress' | 'ingress'
  readonly protocol: string
  readonly address?: string
  readonly port?: number
  readonly name?: string
}

/** `tcp to registry.npmjs.org (104.16.1.34:443)` */
export function peerText(peer: Peer): string {
  return `${peer.protocol} ${peer.direction === 'egress' ? 'to' : 'from'} ${otherEnd(peer)}`
}

/** Of who comes, the port is that of the pod. */
function otherEnd({ direction, address, port, name }: Peer): string {
  const host = address?.includes(':') ? `[${address}]` : address
  const isTheirs = direction === 'egress'
  const at = host === undefined ? undefined : port === undefined || !isTheirs ? host : `${host}:${port}`
  const text = name === undefined ? (at ?? 'unknown') : at === undefined ? name : `${name} (${at})`
  return isTheirs || port === undefined ? text : `${text} at port ${port}`
}
