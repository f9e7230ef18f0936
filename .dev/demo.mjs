// The main job, on show: two pods in namespaces of their own, as root or not. Where the kernel refuses namespaces, the
// life cycle runs with the no-op plugin.
import './setup.mjs'
import { spawnSync } from 'node:child_process'
import { isolated } from './namespace.mjs'

const path = (name) => new URL(name, import.meta.url).pathname
// Of pods on several machines: npm run demo -- --nodes 3
const given = process.argv.slice(2)
const isOfNodes = given[0] === '--nodes'
if (isOfNodes && given[1] !== '3') {
  console.error('demo: --nodes takes 3')
  process.exit(2)
}
const demo = isOfNodes
  ? [process.execPath, path('../examples/three-nodes/demo.mjs')]
  : [process.execPath, path('../examples/two-pods/demo.mjs'), ...given]
const inNamespace = isolated(demo)
if (isOfNodes && !inNamespace) {
  console.error('demo: this kernel refuses network namespaces, which nodes are made of')
  process.exit(1)
}
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
