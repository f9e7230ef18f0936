// Makes a fresh clone ready: dependencies through the pinned pnpm, then the Debian packages that are missing.
// It runs before anything is installed, so it uses Node's own modules only.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const root = new URL('..', import.meta.url).pathname
const read = (path) => (existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined)

/** What the tests and the demo call, and the Debian package that brings it. */
const tools = [
  { command: 'ip', package: 'iproute2' },
  { command: 'nft', package: 'nftables' },
  { command: 'unshare', package: 'util-linux' },
  { command: '/usr/lib/cni/bridge', package: 'containernetworking-plugins' },
]

const { engines, packageManager } = JSON.parse(read('package.json'))

checkNode()
installDependencies()
installDebianPackages()

function checkNode() {
  const wanted = engines.node.replace('>=', '')
  const [major, minor] = process.versions.node.split('.').map(Number)
  const [wantedMajor, wantedMinor] = wanted.split('.').map(Number)
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return
  console.error(`setup: Node ${process.versions.node} is too old: install ${wanted} or newer`)
  process.exit(1)
}

function installDependencies() {
  // pnpm leaves a copy of the lock file it installed from: while the two agree there is nothing to do.
  if (read('pnpm-lock.yaml') === read('node_modules/.pnpm/lock.yaml')) return
  console.error(`setup: installing dependencies with ${packageManager}`)
  // Where another user or another store filled node_modules, pnpm would ask whether to begin anew; nobody is there to answer.
  const options = ['--frozen-lockfile', '--prefer-offline', '--config.confirm-modules-purge=false']
  run('npx', ['--yes', packageManager, 'install', ...options])
}

function installDebianPackages() {
  const missing = tools.filter(({ command }) => !isInstalled(command)).map((tool) => tool.package)
  if (missing.length === 0) return
  const install = `apt-get install -y --no-install-recommends ${[...new Set(missing)].join(' ')}`
  if (process.getuid() !== 0 || !existsSync('/etc/debian_version')) {
    console.error(
      `setup: ${missing.length} package(s) missing; what needs them is skipped. As root run: ${install}`,
    )
    return
  }
  console.error(`setup: ${install}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const options = { shell: true, stdio: ['ignore', 2, 2], env }
  // A new machine may still be at its own updates.
  const wait = '-o DPkg::Lock::Timeout=120'
  spawnSync(`apt-get ${wait} update -qq`, options)
  const { status } = spawnSync(`${install} ${wait}`, options)
  if (status !== 0) console.error(`setup: that failed; what needs ${missing.join(', ')} is skipped`)
}

function isInstalled(command) {
  const candidates = command.startsWith('/')
    ? [command]
    : [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'].map((dir) => join(dir, command))
  return candidates.some((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (status === 0) return
  console.error(`setup: ${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`)
  process.exit(1)
}
