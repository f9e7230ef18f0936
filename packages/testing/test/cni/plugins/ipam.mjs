// Hands out addresses of 10.230.0.0/24: a file for each, made exclusively, so that two never get the same one.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { breaks, failure, ipsFor, serve, staleBy } from './skeleton.mjs'

const directoryOf = ({ config }) => join('/var/lib/test-ipam', config.name)

const reservations = (request) => {
  const directory = directoryOf(request)
  if (!existsSync(directory)) return []
  return readdirSync(directory).map((address) => {
    const file = join(directory, address)
    return { address, file, owner: readFileSync(file, 'utf8') }
  })
}

const release = (request, isStale) => {
  for (const { file, owner } of reservations(request)) if (isStale(owner)) rmSync(file, { force: true })
}

await serve({
  add(request) {
    const address = breaks('cni-concurrent-addresses') ? '10.230.0.9' : reserve(request)
    const ip = { address: `${address}/24`, gateway: '10.230.0.1' }
    const result = {
      cniVersion: request.version,
      ips: ipsFor(request.version, [breaks('cni-result-ipam') ? { ...ip, interface: 0 } : ip]),
      routes: [{ dst: '0.0.0.0/0' }],
      dns: {},
    }
    return result
  },
  del: (request) => release(request, (owner) => owner === request.owner),
  check(request) {
    if (!reservations(request).some(({ owner }) => owner === request.owner))
      throw failure(100, 'no reservation')
  },
  gc: (request) => release(request, staleBy(request)),
  status() {},
})

function reserve(request) {
  const directory = directoryOf(request)
  mkdirSync(directory, { recursive: true })
  for (let last = 2; last < 255; last++) {
    const address = `10.230.0.${last}`
    try {
      writeFileSync(join(directory, address), request.owner, { flag: 'wx' })
      return address
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
  }
  throw failure(100, 'no address is left')
}
