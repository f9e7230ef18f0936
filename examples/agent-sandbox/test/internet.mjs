// A name server that knows three names, and a server at every address for what they lead to.
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { decode, encode } from 'dns-packet'

const addresses = {
  'registry.npmjs.org': '104.16.1.34',
  'paste.example.com': '104.16.1.34',
  'db.example.com': '10.1.2.3',
}

const names = createSocket('udp4')
names.on('message', (bytes, { port, address }) => {
  const { id, questions } = decode(bytes)
  const [{ name, type }] = questions
  const data = type === 'A' && addresses[name.toLowerCase()]
  const answers = data ? [{ type, name, ttl: 60, data }] : []
  names.send(encode({ type: 'response', id, flags: 0x180, questions, answers }), port, address)
})
await new Promise((resolve) => names.bind(53, resolve))
for (const port of [80, 443])
  await new Promise((resolve) =>
    createServer((socket) => socket.on('error', () => {}).resume()).listen(port, resolve),
  )
process.on('disconnect', () => process.exit())
process.send('there')
