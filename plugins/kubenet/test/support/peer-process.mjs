// A program inside a namespace that listens and connects on command. Plain JavaScript, so that it starts at once.
import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { connect, createServer } from 'node:net'
import { decode, encode } from 'dns-packet'

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

  resolveByTcp({ name, server }) {
    const question = encode({ id: 7, flags: 0x100, questions: [{ type: 'A', name }] })
    return new Promise((resolve) => {
      const socket = connect({ host: server, port: 53, timeout: 2000 }, () =>
        socket.write(Buffer.concat([Buffer.of(question.length >> 8, question.length & 255), question])),
      )
      const done = (answer) => resolve(socket.destroy() && answer)
      socket.on('error', ({ code }) => done(code)).on('timeout', () => done('timeout'))
      let bytes = Buffer.alloc(0)
      socket.on('data', (more) => {
        bytes = Buffer.concat([bytes, more])
        if (bytes.length < 2 || bytes.length < 2 + bytes.readUInt16BE()) return
        const { answers } = decode(bytes.subarray(2))
        done(answers.map(({ data }) => data).join() || `rcode ${bytes[5] & 15}`)
      })
    })
  },

  async resolveAll({ names, server }) {
    const resolver = new Resolver({ timeout: 500, tries: 1 })
    resolver.setServers([server])
    for (let at = 0; at < names.length; at += 50)
      await Promise.allSettled(names.slice(at, at + 50).map((name) => resolver.resolve4(name)))
  },

  async serveNames({ port, addresses }) {
    const answer = (bytes) => {
      const { id, questions } = decode(bytes)
      const [{ name, type }] = questions
      const data = type === 'A' && addresses[name.toLowerCase()]
      return encode({ type: 'response', id, questions, answers: data ? [{ type, name, ttl: 60, data }] : [] })
    }
    const udp = createSocket('udp4')
    udp.on('message', (bytes, { port, address }) => udp.send(answer(bytes), port, address))
    const tcp = createServer((socket) => {
      socket
        .on('error', () => {})
        .on('data', (bytes) => {
          const said = answer(bytes.subarray(2))
          socket.end(Buffer.concat([Buffer.of(said.length >> 8, said.length & 255), said]))
        })
    })
    await new Promise((resolve, reject) => udp.on('error', reject).bind(port, resolve))
    await new Promise((resolve, reject) => tcp.on('error', reject).listen(port, resolve))
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
    await new Promise((resolve) => {
      // The other end is heard twenty times a second while it is there.
      const silent = setTimeout(resolve, 1_500)
      const late = setTimeout(resolve, 10_000)
      lines.on('data', (bytes) => {
        answer += bytes
        silent.refresh()
        if (!answer.replaceAll('.', '').endsWith(line)) return
        clearTimeout(silent)
        clearTimeout(late)
        resolve()
      })
      lines.write(line)
    })
    return answer.replaceAll('.', '') || (answer === '' ? 'nothing' : 'dots')
  },

  async spray({ host, port }) {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    socket.on('error', () => {})
    setInterval(() => socket.send('sprayed', port, host, () => {}), 1)
  },

  scatter({ host, ports }) {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    socket.on('error', () => {})
    return new Promise((resolve) => {
      let [begun, sent] = [0, 0]
      const onSent = () => {
        if (++sent === ports) resolve(socket.close() && undefined)
      }
      const send = () => {
        for (let more = Math.min(100, ports - begun); more > 0; more--)
          socket.send('x', 10_000 + begun++, host, onSent)
        if (begun < ports) setImmediate(send)
      }
      socket.bind(0, send)
    })
  },

  sweep({ prefix, port, from, to }) {
    const socket = createSocket('udp4')
    socket.on('error', () => {})
    let left = to - from + 1
    return new Promise((resolve) => {
      const sent = () => --left === 0 && resolve(socket.close() && undefined)
      for (let last = from; last <= to; last++) socket.send('x', port, `${prefix}${last}`, sent)
    })
  },

  say({ host, port, text, from }) {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    return new Promise((resolve) => {
      const done = () => resolve(socket.close() && undefined)
      socket.on('error', done).bind(0, from, () => socket.send(text, port, host, done))
    })
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
