// Makes a fresh clone ready: dependencies through the pinned pnpm, then the Debian packages that are missing.
// It runs before anything is installed, so it uses Node's own modules only.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { installDebianPackages } from './debian-packages.mjs'

const root = new URL('..', import.meta.url).pathname
const read = (path) => (existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined)

/** What the tests and the demo call, and the Debian package that brings it. */
const tools = [
  { command: 'ip', package: 'iproute2' },
  { command: 'nft', package: 'nftables' },
  { command: 'unshare', package: 'util-linux' },
  { command: '/usr/lib/cni/bridge', package: 'containernetworking-plugins' },
  // Container runtimes, which call the daemon; and what runs in their containers.
  { command: 'containerd', package: 'containerd' },
  { command: 'runc', package: 'runc' },
  { command: 'podman', package: 'podman' },
  { command: '/bin/busybox', package: 'busybox-static' },
  { command: 'gcc', package: 'gcc' },
  { command: '/usr/include/arpa', package: 'libc6-dev' },
  { command: 'etcd', package: 'etcd-server' },
  { command: 'etcdctl', package: 'etcd-client' },
  // A daemon that takes the time of day for another one.
  { command: 'faketime', package: 'faketime' },
]

const { engines, packageManager } = JSON.parse(read('package.json'))

checkNode()
installDependencies()
installDebianPackages(tools, 'setup')

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

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (status === 0) return
  console.error(`setup: ${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`)
  process.exit(1)
}
