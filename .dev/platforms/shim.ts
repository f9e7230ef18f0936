import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatShimSettings } from '../../packages/shim/src/index.ts'
import { installDebianPackages, isInstalled } from '../debian-packages.mjs'
import { architectures } from './architectures.ts'
import { cache, run } from './cache.ts'
import type { TestResult } from './result.ts'

/** The native CNI shim of every other processor, which QEMU emulates for that one program: seconds, where a machine takes minutes. */
export async function tryShims(tell: (result: TestResult) => void): Promise<void> {
  for (const { name, debian, triplet } of architectures.filter(({ name }) => name !== process.arch)) {
    const compiler = `${triplet}-gnu-gcc`
    const emulator = `qemu-${triplet.split('-')[0]}-static`
    const tools = [
      { command: compiler, package: `gcc-${triplet.split('-')[0]?.replace('_', '-')}-linux-gnu` },
      { command: emulator, package: 'qemu-user-static' },
      { command: `/usr/${triplet}-gnu/include`, package: `libc6-dev-${debian}-cross` },
    ]
    installDebianPackages(tools, 'test:platforms')
    const missing = tools.filter(({ command }) => !isInstalled(command)).map((tool) => tool.package)
    if (missing.length > 0) tell({ name: `the shim for ${name}`, skipped: `needs ${missing.join(', ')}` })
    else await tryShim(name, emulator, tell)
  }
}

async function tryShim(arch: string, emulator: string, tell: (result: TestResult) => void): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'podwire-shim-'))
  const shim = join(cache, 'shim', arch, 'podwire-shim')
  const socket = join(dir, 'socket')
  const journal = join(dir, 'journal')
  const attempt = async (name: string, test: () => Promise<void> | void) => {
    const start = performance.now()
    try {
      await test()
      tell({ name: `the shim for ${arch} ${name}`, ms: performance.now() - start })
    } catch (error) {
      tell({ name: `the shim for ${arch} ${name}`, error: String(error) })
    }
  }
  const call = async (command: string, expected: { status: number; stdout: RegExp }) => {
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'c1',
      CNI_IFNAME: 'eth0',
      CNI_NETNS: '/run/netns/c1',
    }
    const child = spawn(emulator, [shim], { env, stdio: ['pipe', 'pipe', 'ignore'] })
    let stdout = ''
    child.stdout.on('data', (chunk) => {
      stdout += chunk
    })
    child.stdin.end('{"cniVersion":"1.1.0","name":"pods"}')
    const [status] = await once(child, 'close')
    if (status !== expected.status || !expected.stdout.test(stdout))
      throw new Error(`${command} exited with ${status}, and said ${JSON.stringify(stdout)}`)
  }
  mkdirSync(join(shim, '..'), { recursive: true })
  try {
    await attempt('is compiled, static', () => {
      const script = new URL('../../packages/shim/compile.mjs', import.meta.url).pathname
      run(process.execPath, [script, arch, shim, '--release'])
      const settings = formatShimSettings({ socket, journal, deadlineMs: 60_000 })
      writeFileSync(`${shim}.conf`, settings, { mode: 0o644 })
      if (spawnSync(emulator, [shim], { env: {} }).status !== 1) throw new Error('it does not run')
    })
    await attempt('answers and journals without a daemon', async () => {
      await call('VERSION', { status: 0, stdout: /"supportedVersions":/ })
      await call('ADD', { status: 1, stdout: /"code":11,/ })
      await call('DEL', { status: 0, stdout: /^$/ })
      const entries = readdirSync(journal)
      if (entries.length !== 1 || !/^[0-9a-f]{32}$/.test(entries[0] ?? ''))
        throw new Error(`the journal has ${entries.join(', ')}`)
    })
    await attempt('asks a daemon', async () => {
      const server = createServer((request, response) => {
        request.resume().on('end', () => {
          response.writeHead(200, { 'content-type': 'application/json', 'content-length': 12 })
          response.end('{"ips":[{}]}')
        })
      }).listen(socket)
      await once(server, 'listening')
      await call('ADD', { status: 0, stdout: /^\{"ips":\[\{\}\]\}$/ }).finally(() => server.close())
    })
  } finally {
    rmSync(dir, { recursive: true })
  }
}
