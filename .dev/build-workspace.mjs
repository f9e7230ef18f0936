// Copies the published packages and the examples, builds the packages there as they are built to be published, and prints where
// that is. What was built of the same files before is used again, and never anything else. To be run under a lock, as
// built-workspace.ts does.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { isInstalled } from './debian-packages.mjs'

const root = new URL('..', import.meta.url).pathname
const copies = join(root, 'node_modules/.cache/built-workspaces')
const dayMs = 24 * 60 * 60 * 1000

const published = [...dirsIn('packages'), ...dirsIn('plugins')].filter((dir) => !manifestOf(dir).private)
const members = [...published, ...dirsIn('examples')]
// Read once: what is built is what the copy is called after, whatever is edited meanwhile.
const files = ['package.json', 'pnpm-workspace.yaml', 'pnpm-lock.yaml', '.dev', ...members].flatMap(filesOf)

const copy = join(copies, fingerprint())
if (!existsSync(copy)) {
  removeUnused()
  const unfinished = writeFiles()
  await Promise.all(published.map((dir) => buildPackage(dir, unfinished)))
  renameSync(unfinished, copy)
}
markUsed()
console.log(copy)

function dirsIn(group) {
  const dirs = readdirSync(join(root, group)).map((name) => join(group, name))
  return dirs.filter((dir) => existsSync(join(root, dir, 'package.json')))
}

function manifestOf(dir) {
  return JSON.parse(readFileSync(join(root, dir, 'package.json'), 'utf8'))
}

/** A file, or all those of a directory that may matter to a build or to what is built. */
function filesOf(path) {
  const stats = statSync(join(root, path))
  if (!stats.isDirectory()) return [{ path, mode: stats.mode, content: readFileSync(join(root, path)) }]
  const isMember = members.includes(path)
  const leftOut = ['node_modules', 'dist', '.turbo', ...(isMember ? ['test'] : [])]
  return readdirSync(join(root, path))
    .filter((name) => !leftOut.includes(name))
    .flatMap((name) => filesOf(join(path, name)))
}

function fingerprint() {
  // A bundle lists what the modules of Node export that made it, and what no compiler is there for is left out.
  const compilers = ['gcc', 'cc', 'aarch64-linux-gnu-gcc', 'x86_64-linux-gnu-gcc'].filter(isInstalled)
  const hash = createHash('sha256').update([process.version, ...compilers].join(' '))
  for (const { path, content } of files) hash.update(`\0${path}\0${content.length}\0`).update(content)
  return hash.digest('hex').slice(0, 16)
}

function writeFiles() {
  mkdirSync(copies, { recursive: true })
  const dir = mkdtempSync(join(copies, 'unfinished-'))
  // For whoever a test lets run it.
  chmodSync(dir, 0o755)
  for (const { path, mode, content } of files) {
    mkdirSync(dirname(join(dir, path)), { recursive: true })
    writeFileSync(join(dir, path), content, { mode })
  }
  // Links from one member to another, and to what the workspace has installed.
  for (const member of members) {
    const links = join(member, 'node_modules')
    if (existsSync(join(root, links)))
      cpSync(join(root, links), join(dir, links), { recursive: true, verbatimSymlinks: true })
  }
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
  return dir
}

/** Runs the parts of a package's build that make its code: its types are nobody's who runs it. */
async function buildPackage(name, workspace) {
  const [first, ...rest] = manifestOf(name).scripts.build.split(' && ')
  const command = [first, ...rest.filter((one) => !one.startsWith('tsc '))].join(' && ')
  const cwd = join(workspace, name)
  const env = {
    ...process.env,
    PATH: [join(root, 'node_modules/.bin'), dirname(process.execPath), process.env.PATH].join(delimiter),
  }
  const isCompiler = command.startsWith('tsc ')
  const whole = isCompiler ? `${command} --noCheck --declaration false --declarationMap false` : command
  const child = spawn('sh', ['-c', whole], { cwd, env, stdio: ['ignore', 2, 2] })
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`${name}: ${whole} exited with ${code}`)
  // As in a tarball: where there is one, the sources are run.
  rmSync(join(cwd, 'tsconfig.json'), { force: true })
}

function markUsed() {
  try {
    utimesSync(copy, new Date(), new Date())
  } catch {
    // It is another user's, and is read all the same.
  }
}

/** What was not used for a day: other sources, and what was never finished. */
function removeUnused() {
  for (const name of existsSync(copies) ? readdirSync(copies) : []) {
    const dir = join(copies, name)
    if (Date.now() - statSync(dir).mtimeMs > dayMs) rmSync(dir, { recursive: true })
  }
}
