// Compiles the native shim: node compile.mjs ARCHITECTURE [OUTPUT] [--release] [--sanitize]
// Where there is no compiler for that architecture it says so, and leaves nothing: the shim of JavaScript does the same work. With
// --release that is an error, and so is a shim that would need a library of the machine it runs on. --sanitize is for tests: it ends at
// once where it does what C leaves undefined.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'

const args = process.argv.slice(2)
const isRelease = args.includes('--release')
const isSanitized = args.includes('--sanitize')
const [arch = process.arch, output = 'dist/podwire-shim'] = args.filter((arg) => !arg.startsWith('--'))

const architectures = {
  x64: { triplet: 'x86_64-linux-gnu', flags: ['-fcf-protection=full'] },
  arm64: { triplet: 'aarch64-linux-gnu', flags: ['-mbranch-protection=standard'] },
}

const flags = [
  ...['-std=c11', '-D_GNU_SOURCE', '-O2'],
  ...[
    '-Wall',
    '-Wextra',
    '-Werror',
    '-Wshadow',
    '-Wconversion',
    '-Wformat=2',
    '-Wvla',
    '-Wstrict-prototypes',
  ],
  ...['-U_FORTIFY_SOURCE', '-D_FORTIFY_SOURCE=2', '-fstack-protector-strong', '-fstack-clash-protection'],
  ...['-fPIE', '-ffunction-sections', '-fdata-sections'],
  ...['-Wl,--gc-sections', '-Wl,-z,relro', '-Wl,-z,now', '-Wl,-z,noexecstack', '-Wl,-z,separate-code'],
  // The same sources make the same file.
  ...['-s', '-Wl,--build-id=none'],
]

process.exit(compile())

function compile() {
  const target = architectures[arch]
  if (!target) return complain(`there is no native shim for ${arch}`, 2)
  rmSync(output, { force: true })
  const compiler = compilers(target).find(exists)
  if (!compiler) return skip(`there is no ${compilers(target).join(', nor ')}`)
  const directory = new URL('src/native/', import.meta.url).pathname
  const sources = readdirSync(directory).filter((name) => name.endsWith('.c'))
  const run = (link) => {
    const command = [
      ...flags,
      ...target.flags,
      ...link,
      '-o',
      output,
      ...sources.map((name) => directory + name),
    ]
    return spawnSync(compiler, command, { encoding: 'utf8' })
  }
  mkdirSync(dirname(output), { recursive: true })
  // What can't be linked statically lacks libc.a; what is wrong with the sources is told by the second attempt too.
  const whole = run(
    isSanitized ? ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'] : ['-static-pie'],
  )
  if (whole.status === 0) return 0
  if (isRelease) return complain(`${compiler} makes no static program:\n${whole.stderr}`, 1)
  const linked = run(['-pie'])
  if (linked.status !== 0) return complain(`${compiler} failed:\n${linked.stderr}`, 1)
  console.error(`shim: ${compiler} has no libc.a, so that the shim needs the C library of where it runs`)
  return 0
}

/** What may be there for it, the best first. */
function compilers({ triplet }) {
  return [...(arch === process.arch ? ['gcc', 'cc'] : []), `${triplet}-gcc`]
}

function exists(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0
}

function skip(why) {
  if (isRelease) return complain(why, 1)
  console.error(`shim: the native shim for ${arch} is left out, as ${why}`)
  return 0
}

function complain(what, code) {
  console.error(`shim: ${what}`)
  return code
}
