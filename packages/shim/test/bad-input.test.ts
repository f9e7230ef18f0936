import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { useDaemons } from './daemon.ts'
import {
  type Call,
  configuration,
  describeShims,
  environment,
  hasOtherUsers,
  hasPython,
  type InstalledShim,
  SOMEBODY,
} from './shims.ts'

// Whatever the runtime, the daemon and the disk have for it, a shim ends in time, with a sentence.

const daemons = useDaemons()
const errorOf = ({ stdout }: Call) => JSON.parse(stdout) as { code: number; msg: string }
const head = (length: number | string, more = '') =>
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n${more}\r\n`

describeShims('of a runtime, a shim', (install) => {
  test.each([
    ['without CNI_COMMAND', {}, /^CNI_COMMAND is missing: this is a CNI plugin/],
    ['with an empty one', { CNI_COMMAND: '' }, /^CNI_COMMAND is missing/],
    ['with one that nobody knows', { CNI_COMMAND: 'DANCE' }, /^CNI_COMMAND is "DANCE", and not ADD, DEL/],
    ['with one in small letters', { CNI_COMMAND: 'add' }, /^CNI_COMMAND is "add"/],
    ['with one that is half a JSON string', { CNI_COMMAND: '"\\\n\x01\x7f' }, /^CNI_COMMAND is ""\\\n\x01./],
    [
      'with one that is very long',
      { CNI_COMMAND: 'é'.repeat(50_000) },
      /^CNI_COMMAND is ".{30,64}", and not/,
    ],
  ])('%s fails with code 4', async (_name, env, message) => {
    const shim = await install()
    const questions = await daemons.answering(shim.socket)
    const call = await shim.call({ env })
    expect(call).toMatchObject({ status: 1, stderr: '' })
    expect(errorOf(call)).toMatchObject({ code: 4, msg: expect.stringMatching(message) })
    expect(questions).toEqual([])
  })

  test.each([
    ['one', { CNI_ARGS: 'x'.repeat(64 * 1024) }],
    [
      'many together',
      Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`CNI_${i}`, 'x'.repeat(400)])),
    ],
    ['too many', Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`CNI_${i}`, '']))],
  ])('refuses variables that are too long, %s, with code 4', async (_name, more) => {
    const shim = await install()
    const questions = await daemons.answering(shim.socket)
    const call = await shim.call({ env: environment('ADD', more) })
    expect(call.status).toBe(1)
    expect(errorOf(call)).toMatchObject({ code: 4, msg: expect.stringContaining('begin with CNI_') })
    expect(questions).toEqual([])
  })

  test.runIf(hasPython)('refuses a variable that is set twice', async () => {
    const shim = await install()
    // Neither Node nor a shell would start it so.
    const program = [
      'import ctypes, sys',
      'array = lambda *texts: (ctypes.c_char_p * (len(texts) + 1))(*texts, None)',
      'env = [b"CNI_COMMAND=ADD", b"CNI_A=1", b"CNI_A-B=2", b"CNI_A=3"]',
      'ctypes.CDLL(None).execve(sys.argv[1].encode(), array(b"shim"), array(*env))',
    ].join('\n')
    const { status, stdout } = spawnSync('python3', ['-c', program, shim.path], {
      encoding: 'utf8',
      input: '{}',
    })
    expect({ status, ...JSON.parse(stdout) }).toMatchObject({ status: 1, code: 4, msg: 'CNI_A is set twice' })
  })

  test('refuses stdin that is longer than a mebibyte with code 6', async () => {
    const shim = await install()
    const questions = await daemons.answering(shim.socket)
    for (const bytes of [2 ** 20 + 1, 10_000_000]) {
      const call = await shim.call({ stdin: Buffer.alloc(bytes, ' ') })
      expect(call.status).toBe(1)
      expect(errorOf(call)).toMatchObject({ code: 6, msg: 'stdin is longer than 1048576 bytes' })
    }
    expect(questions).toEqual([])
  })

  test('waits for the end of stdin until its deadline, and no longer', async () => {
    const shim = await install()
    const questions = await daemons.answering(shim.socket)
    shim.configure({ socket: shim.socket, deadlineMs: 400 })
    const call = await shim.call({ keepsStdin: true })
    expect(call.status).toBe(1)
    expect(errorOf(call)).toMatchObject({ code: 5, msg: 'stdin did not end in time' })
    expect(questions).toEqual([])
  })

  test('works with stdin and stderr closed, and takes nothing else for them', async () => {
    const shim = await install()
    const questions = await daemons.answering(shim.socket)
    const shell = spawn('sh', ['-c', 'exec "$0" <&- 2>&-', shim.path], {
      env: environment('ADD'),
      stdio: 'pipe',
    })
    let stdout = ''
    shell.stdout.on('data', (chunk) => {
      stdout += chunk
    })
    const [status] = await once(shell, 'close')
    // Node opens what is closed.
    if (shim.kind === 'node') expect(questions.map(({ stdin }) => stdin.length)).toEqual([0])
    else
      expect({ status, ...JSON.parse(stdout) }).toMatchObject({
        status: 1,
        code: 5,
        msg: expect.stringMatching(/^stdin can't be read/),
      })
  })

  test('fails where nobody reads what it says', async () => {
    const shim = await install()
    await daemons.answering(shim.socket, () => ({ body: '{}' }))
    const reading = spawn(shim.path, { env: environment('ADD'), stdio: 'pipe' })
    reading.stdout.destroy()
    reading.stdin.end(configuration)
    expect(await once(reading, 'close')).toEqual([1, null])
    if (shim.kind === 'node') return
    const closed = spawn('sh', ['-c', 'exec "$0" >&-', shim.path], { env: environment('ADD'), stdio: 'pipe' })
    closed.stdin.end(configuration)
    expect(await once(closed, 'close')).toEqual([1, null])
  })
})

describeShims('of a daemon, a shim', (install) => {
  /** As a daemon that has something else to say. */
  const bad: Record<string, [speak: (connection: Socket) => void, why: RegExp]> = {
    'that closes at once': [(one) => one.end(), /closed the connection without an answer|not whole/],
    'that hangs up on the request': [
      (one) => one.once('data', () => one.destroy()),
      /closed the connection without an answer|not whole/,
    ],
    'that answers garbage': [(one) => one.end('\x00\x01garbage\r\n\r\n'), /not HTTP\/1\.1/],
    'that answers in an old language': [
      (one) => one.end('HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'),
      /not HTTP/,
    ],
    'that answers half a head': [(one) => one.end(head(2).slice(0, 30)), /not whole|closed the connection/],
    'that answers half a body': [(one) => one.end(`${head(20)}{"half":`), /not whole/],
    'that answers without a length': [
      (one) => one.end('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}'),
      /no length/,
    ],
    'that answers in pieces': [
      (one) => one.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n'),
      /pieces/,
    ],
    'that answers with two lengths': [
      (one) => one.end(`${head(2, 'Content-Length: 3\r\n')}{} `),
      /two lengths|not HTTP\/1\.1/,
    ],
    'that answers with a length that is none': [
      (one) => one.end(head('-1')),
      /length is not a|not HTTP\/1\.1/,
    ],
    'that answers with a length of a gigabyte': [(one) => one.write(head(1_000_000_000)), /length is not a/],
    'that answers a page': [
      (one) => one.end('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>'),
      /not JSON/,
    ],
    'that answers another status': [
      (one) => one.end(head(2).replace('200 OK', '503 Busy')),
      /its status is 503/,
    ],
    'whose head never ends': [
      (one) => {
        const line = `X-More: ${'x'.repeat(1000)}\r\n`
        one.write('HTTP/1.1 200 OK\r\n')
        const more = () => {
          if (!one.destroyed && one.write(line.repeat(8))) setImmediate(more)
        }
        more()
      },
      /longer than 16 KiB|not HTTP\/1\.1/,
    ],
    'that answers a gigabyte of zeroes': [
      (one) => {
        const zeroes = Buffer.alloc(2 ** 20)
        let left = 1000
        const more = () => {
          while (left-- > 0 && !one.destroyed) if (!one.write(zeroes)) return one.once('drain', more)
        }
        more()
      },
      /not HTTP\/1\.1/,
    ],
  }

  test.each(Object.entries(bad))('%s fails with code 11, and keeps a DEL', async (_name, [speak, why]) => {
    const shim = await install()
    await daemons.speaking(shim.socket, speak)
    const call = await shim.call()
    expect(call.status).toBe(1)
    expect(errorOf(call)).toMatchObject({ code: 11, msg: expect.stringMatching(why) })
    expect(await shim.call({ env: environment('STATUS') })).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('"code":50'),
    })
    expect(await shim.call({ env: environment('DEL') })).toMatchObject({ status: 0, stdout: '' })
    expect(readdirSync(shim.journal)).toHaveLength(1)
  })

  test.each<[string, (connection: Socket) => void]>([
    ['that accepts and never answers', (one) => one.resume()],
    ['that answers a byte at a time', drip(head(2))],
    [
      'whose body comes a byte at a time',
      (one) => {
        one.write(head(1_000_000))
        drip(' ')(one)
      },
    ],
  ])('%s is left at the deadline', async (_name, speak) => {
    const shim = await install()
    const ended = await daemons.speaking(shim.socket, speak)
    shim.configure({ socket: shim.socket, journal: shim.journal, deadlineMs: 1500 })
    const call = await shim.call()
    expect(call.status).toBe(1)
    expect(errorOf(call)).toMatchObject({
      code: 11,
      msg: expect.stringContaining('it did not answer in time'),
    })
    expect(call.ms).toBeGreaterThan(1400)
    expect(await shim.call({ env: environment('DEL') })).toMatchObject({ status: 0, stdout: '' })
    expect(readdirSync(shim.journal)).toHaveLength(1)
    await expect.poll(ended).toBe(2)
  })

  test('that never reads is left at the deadline', async () => {
    const shim = await install()
    await daemons.speaking(shim.socket, (one) => one.pause())
    shim.configure({ socket: shim.socket, journal: shim.journal, deadlineMs: 1500 })
    const call = await shim.call({ stdin: Buffer.alloc(1_000_000, ' ') })
    expect({ status: call.status, ...errorOf(call) }).toMatchObject({ status: 1, code: 11 })
  })

  test('that is so busy that nobody gets through is waited for, until the deadline', async () => {
    const shim = await install()
    const program = `
      const server = require('http').createServer((request, response) => {
        request.resume().on('end', () => {
          response.writeHead(200, { 'content-type': 'application/json', 'content-length': 2 }).end('{}')
        })
      })
      server.listen({ path: process.argv[1], backlog: 1 }, () => {
        require('fs').writeSync(1, 'listening')
        require('fs').readSync(0, Buffer.alloc(1))
      })`
    const daemon = spawn(process.execPath, ['-e', program, shim.socket], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const queue: Socket[] = []
    try {
      await once(daemon.stdout, 'data')
      for (let isFull = false; !isFull; ) {
        const one = connect(shim.socket)
        queue.push(one)
        isFull = await once(one, 'connect').then(
          () => false,
          ({ code }) => code === 'EAGAIN',
        )
      }
      shim.configure({ socket: shim.socket, deadlineMs: 1500 })
      const call = await shim.call()
      expect({ status: call.status, ...errorOf(call) }).toMatchObject({
        status: 1,
        code: 11,
        msg: expect.stringContaining('it did not answer in time'),
      })
      shim.configure({ socket: shim.socket, deadlineMs: 60_000 })
      const later = shim.call()
      daemon.stdin.write('.')
      expect(await later).toMatchObject({ status: 0, stdout: '{}' })
    } finally {
      for (const one of queue) one.destroy()
      daemon.kill()
    }
  })

  test('that answers more than it said is taken at its word', async () => {
    const shim = await install()
    await daemons.speaking(shim.socket, (one) => one.write(`${head(2)}{}`))
    expect(await shim.call()).toMatchObject({ status: 0, stdout: '{}' })
  })

  test('whose socket is a file, or a directory, is as good as none', async () => {
    const shim = await install()
    for (const make of [() => writeFileSync(shim.socket, ''), () => mkdirSync(shim.socket)]) {
      rmSync(shim.socket, { force: true })
      make()
      const call = await shim.call()
      expect({ status: call.status, ...errorOf(call) }).toMatchObject({ status: 1, code: 11 })
    }
  })

  test.runIf(hasOtherUsers)('that belongs to another user is not trusted', async () => {
    const shim = await install()
    chmodSync(shim.dir, 0o777)
    const program = `require('net').createServer((one) => one.on('error', () => {}).end('{}')).listen('${shim.socket}', () => console.log())`
    const daemon = spawn(process.execPath, ['-e', program], {
      cwd: '/',
      uid: SOMEBODY,
      gid: SOMEBODY,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      await once(daemon.stdout, 'data')
      chmodSync(shim.dir, 0o755)
      const call = await shim.call()
      expect(call.status).toBe(1)
      expect(errorOf(call)).toMatchObject({ code: 11, msg: expect.stringContaining('it is not trusted') })
      expect(await shim.call({ env: environment('STATUS') })).toMatchObject({ status: 1 })
      expect(await shim.call({ env: environment('DEL') })).toMatchObject({ status: 0 })
      expect(readdirSync(shim.journal)).toHaveLength(1)
    } finally {
      daemon.kill()
    }
  })

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'is left at once on %s, and a DEL is kept',
    async (signal) => {
      const shim = await install()
      for (const command of ['ADD', 'VERSION', 'DEL']) {
        let kill: ((signal: NodeJS.Signals) => void) | undefined
        const ended = await daemons.speaking(`${shim.socket}-${command}`, (one) =>
          one.once('data', () => kill?.(signal)),
        )
        shim.configure({ socket: `${shim.socket}-${command}`, journal: shim.journal, deadlineMs: 60_000 })
        const call = await shim.call({
          env: environment(command),
          onStart: (one) => {
            kill = one
          },
        })
        expect(call).toMatchObject({ status: 1, signal: null })
        expect(errorOf(call)).toMatchObject({
          code: 11,
          msg: expect.stringContaining('a signal ended the shim'),
        })
        expect(call.ms).toBeLessThan(30_000)
        await expect.poll(ended).toBe(1)
        expect(existsSync(shim.journal) ? readdirSync(shim.journal) : []).toHaveLength(
          command === 'DEL' ? 1 : 0,
        )
      }
    },
  )
})

describeShims('with settings', (install) => {
  const refused = async (shim: InstalledShim, why: string | RegExp) => {
    const questions = await daemons.answering(shim.socket)
    for (const command of ['ADD', 'DEL']) {
      const call = await shim.call({ env: environment(command) })
      expect(call.status).toBe(1)
      expect(errorOf(call)).toMatchObject({ code: 100, msg: expect.stringMatching(why) })
    }
    expect(questions).toEqual([])
  }

  test.each([
    ['socket', /line 1 of .*podwire\.conf needs a path that begins with \//],
    ['socket run/podwire.sock', /needs a path that begins with \//],
    [`socket /${'x'.repeat(107)}`, /has a path that is too long/],
    [`journal /${'x'.repeat(4000)}`, /has a path that is too long/],
    ['socket /run/pod\0wire', /has a path with a NUL byte/],
    ['\n\n# x\nSocket /run', /line 4 of .* has a key that is none of socket, journal, deadline/],
    ['deadline 5s', /is not a number of milliseconds/],
    ['deadline 0', /has to be 1 to 600000 milliseconds/],
    ['deadline 600001', /has to be 1 to 600000 milliseconds/],
    ['#'.repeat(17_000), /is longer than 16 KiB/],
  ])('that are wrong (%j) refuses to work', async (text, why) => {
    const shim = await install()
    writeFileSync(`${shim.path}.conf`, text)
    await refused(shim, why)
  })

  test('that others may write refuses to work', async () => {
    const shim = await install()
    for (const [mode, gid] of [
      [0o646, 0],
      [0o664, 100],
    ] as const) {
      // To give a group away takes another user.
      if (gid !== 0 && !hasOtherUsers) continue
      chownSync(`${shim.path}.conf`, process.getuid?.() ?? 0, gid === 0 ? (process.getgid?.() ?? 0) : gid)
      chmodSync(`${shim.path}.conf`, mode)
      const call = await shim.call()
      expect(call.status).toBe(1)
      expect(errorOf(call)).toMatchObject({
        code: 100,
        msg: expect.stringContaining('others may write to it'),
      })
    }
  })

  test.runIf(hasOtherUsers)('that belong to another user refuses to work', async () => {
    const shim = await install()
    chownSync(`${shim.path}.conf`, SOMEBODY, SOMEBODY)
    await refused(shim, 'it belongs to another user')
  })

  test('that are a link, a directory or a FIFO refuses to work', async () => {
    const shim = await install()
    const path = `${shim.path}.conf`
    const makes = [
      () => symlinkSync('elsewhere', path),
      () => mkdirSync(path),
      () => spawnSync('mkfifo', [path]),
    ]
    for (const make of makes) {
      spawnSync('rm', ['-r', path])
      make()
      const call = await shim.call()
      expect({ status: call.status, ...errorOf(call) }).toMatchObject({ status: 1, code: 100 })
    }
  })

  test('in any white space, with comments, works', async () => {
    const shim = await install()
    await daemons.answering(shim.socket)
    writeFileSync(`${shim.path}.conf`, `# podwire\r\n\r\n \tsocket \t${shim.socket} \r\ndeadline 9000`)
    expect(await shim.call()).toMatchObject({ status: 0, stdout: '{}' })
  })

  test('of its own place alone: a link to it is no other shim', async () => {
    const shim = await install()
    await daemons.answering(shim.socket)
    const link = join(shim.dir, 'elsewhere')
    symlinkSync(shim.path, link)
    expect(await shim.call({ path: link })).toMatchObject({ status: 0, stdout: '{}' })
  })
})

/** A byte every few milliseconds, round and round. */
function drip(text: string): (connection: Socket) => void {
  return (connection) => {
    let at = 0
    const timer = setInterval(() => {
      // The empty line at the end never comes.
      connection.write(text[at++ % (text.length > 1 ? text.length - 4 : 1)] ?? '')
    }, 60)
    connection.on('close', () => clearInterval(timer))
  }
}
