import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { errnoOf, type PortMapping } from '@podwire/api'
import { errors } from '../errors.ts'
import { familyOf } from '../ipam/cidr.ts'

/**
 * Makes sure that no program of the host listens at the port, by listening there for a moment: a published port would take
 * its connections away. SCTP is not looked at.
 * @throws PodwireError `HOST_PORT_IN_USE`
 */
export async function probePort(mapping: PortMapping, families: readonly (4 | 6)[]): Promise<void> {
  const wanted = mapping.hostIP ? familyOf(mapping.hostIP) : undefined
  for (const family of families.filter((candidate) => wanted === undefined || candidate === wanted)) {
    const host = mapping.hostIP ?? (family === 4 ? '0.0.0.0' : '::')
    try {
      if (mapping.protocol === 'tcp') await listenTcp(mapping.hostPort, host)
      if (mapping.protocol === 'udp') await bindUdp(mapping.hostPort, host, family)
    } catch (error) {
      // Not allowed, or no such address here: nobody of this host listens there either.
      if (errnoOf(error) === 'EADDRINUSE')
        throw errors.HOST_PORT_IN_USE({ ...mapping, owner: 'a program of the host' })
    }
  }
}

async function listenTcp(port: number, host: string) {
  const server = createServer((socket) => socket.destroy())
  server.listen({ port, host, exclusive: true, ipv6Only: true })
  await once(server, 'listening')
  server.close()
  await once(server, 'close')
}

async function bindUdp(port: number, address: string, family: 4 | 6) {
  const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', ipv6Only: family === 6 })
  socket.bind({ port, address, exclusive: true })
  await once(socket, 'listening')
  socket.close()
  await once(socket, 'close')
}
