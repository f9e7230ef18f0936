// A program inside a namespace that listens and connects on command. Plain JavaScript, so that it starts at once.
import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { connect, createServer } from 'node:net'

const heard = []
let lines

const commands = {
  serve({ protocol, port, label, host }) {
    return new Promise((resolve, reject) => {
      if (protocol === 'tcp') {
        const server = createServer((socket) => {
          socket.on('error', () => {})
          socket.end(`${label} ${socket.remoteAddress.replace('::ffff:', '')}`)
        })
        server.on('error', reject).listen(port, host ?? '::', resolve)
      } else {
        const socket = createSocket(host?.includes('.') ? 'udp4' : 'udp6')
        socket.on('message', (_, { address, port }) =>
          socket.send(`${label} ${address.replace('::ffff:', '')}`, port, address),
        )
        socket.on('error', reject).bind(port, host, resolve)
      }
    })
  },

  ask({ protocol, host, port, timeout = 3000, localPort = 0 }) {
    return new Promise((resolve) => {
      if (protocol === 'tcp') {
        let answer = ''
        const socket = connect({ host, port, timeout })
        socket.on('data', (bytes) => (answer += bytes)).on('end', () => resolve(answer))
        socket
          .on('error', ({ code }) => resolve(code))
          .on('timeout', () => resolve('timeout') || socket.destroy())
        return
      }
      const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
      const done = (answer) => {
        clearTimeout(timer)
        clearInterval(again)
        socket.close()
        resolve(answer)
      }
      const timer = setTimeout(done, timeout, 'timeout')
      const ask = () => socket.send('?', port, host)
      const again = setInterval(ask, 250)
      socket.on('message', (bytes) => done(String(bytes))).on('error', ({ code }) => done(code))
      socket.bind(localPort, ask)
    })
  },

  async resolve({ name, server }) {
    const resolver = new Resolver({ timeout: 1000, tries: 1 })
    resolver.setServers([server])
    try {
      return (await resolver.resolve4(name)).join()
    } catch ({ code }) {
      return code
    }
  },

  serveLines({ port }) {
    const server = createServer((socket) => {
      socket.on('error', () => {}).pipe(socket)
      // What the other end hears though it says nothing.
      const timer = setInterval(() => socket.write('.'), 50)
      socket.on('close', () => clearInterval(timer))
    })
    return new Promise((resolve) => server.listen(port, '::', resolve))
  },

  connectLines({ host, port }) {
    return new Promise((resolve, reject) => {
      lines = connect({ host, port }).on('connect', resolve).on('error', reject)
    })
  },

  async sayLine({ line }) {
    lines.removeAllListeners('data')
    let answer = ''
    lines.on('data', (bytes) => (answer += bytes))
    lines.write(line)
    await new Promise((resolve) => setTimeout(resolve, 500))
    return answer.replaceAll('.', '') || (answer === '' ? 'nothing' : 'dots')
  },

  async spray({ host, port }) {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    socket.on('error', () => {})
    setInterval(() => socket.send('sprayed', port, host, () => {}), 1)
  },

  listen({ port, host }) {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    socket.on('message', (bytes, { address }) => heard.push(`${bytes} ${address.replace(/%.*/, '')}`))
    return new Promise((resolve, reject) => socket.on('error', reject).bind(port, host, resolve))
  },

  heard: async () => heard,

  sink({ port }) {
    const server = createServer((socket) => socket.on('error', () => {}).resume())
    return new Promise((resolve) => server.listen(port, '::', resolve))
  },

  pour({ host, port, milliseconds }) {
    return new Promise((resolve, reject) => {
      const piece = Buffer.alloc(16 << 10)
      const socket = connect({ host, port, highWaterMark: 16 << 10 })
      const pour = () => {
        while (socket.write(piece));
      }
      socket.on('error', reject).on('drain', pour).on('connect', pour)
      // A reset: what the kernel still holds of it would go on for seconds, beside the next measurement.
      setTimeout(() => resolve(socket.resetAndDestroy() && undefined), milliseconds)
    })
  },
}

process.on('message', async ({ id, command, options }) => {
  try {
    process.send({ id, result: await commands[command](options) })
  } catch (error) {
    process.send({ id, error: error.message })
  }
})
process.on('disconnect', () => process.exit())
process.send({ id: 0 })
