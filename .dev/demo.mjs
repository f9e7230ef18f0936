// The main job, on show: two pods in namespaces of their own, as root or not. Where the kernel refuses namespaces, the
// life cycle runs with the no-op plugin.
import './setup.mjs'
import { spawnSync } from 'node:child_process'
import { isolated } from './namespace.mjs'

const path = (name) => new URL(name, import.meta.url).pathname
const demo = [process.execPath, path('../examples/two-pods/demo.mjs'), ...process.argv.slice(2)]
const inNamespace = isolated(demo)
if (!inNamespace)
  console.log('This kernel refuses network namespaces: here is the life cycle with the no-op plugin.')
const [command, ...args] = inNamespace ?? [
  process.execPath,
  '--import',
  path('run-source.mjs'),
  path('../examples/two-pods/no-op.ts'),
]
const { status } = spawnSync(command, args, { stdio: 'inherit' })
process.exit(status ?? 1)
