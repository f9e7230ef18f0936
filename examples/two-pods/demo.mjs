// Two pods of a network plugin, from nothing to nothing, by the command line. It changes the network of where it runs, so `npm run demo` gives it namespaces of its own.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { plugin: { type: 'string', default: 'kubenet' } } })
const demos = {
  kubenet: { config: 'examples/two-pods/kubenet.config.json' },
  cni: { config: 'examples/cni-ptp/podwire.config.json' },
  exec: { config: 'examples/exec-bridge/podwire.config.json' },
}
if (!(values.plugin in demos))
  fail(`--plugin ${values.plugin}: there is a demo of ${Object.keys(demos).join(', ')}`, 2)
const { config } = demos[values.plugin]

const root = new URL('../..', import.meta.url).pathname
const podwire = [process.execPath, `${root}packages/cli/bin/podwire.js`]
const options = { cwd: root, env: { ...process.env, PODWIRE_CONFIG: config } }
const serve = "require('http').createServer((q, s) => s.end('Hello from the pod\\n')).listen(80)"
const steps = []

console.log(`$ export PODWIRE_CONFIG=${config}`)
const before = leftovers()
run('plugins')
run('up', 'demo/web')
run('up', 'demo/client')
const { pods } = JSON.parse(ask('status', '--json'))
const web = pods.find((pod) => pod.name === 'web').ip

console.log(`$ podwire exec demo/web -- node -e "${serve}" &`)
const server = spawn(podwire[0], [podwire[1], 'exec', 'demo/web', '--', process.execPath, '-e', serve], {
  ...options,
  stdio: ['ignore', 'inherit', 'inherit'],
})
await fetchFromClient(`http://${web}/`)
run('status')
server.kill()
run('down', 'demo/web')
run('down', 'demo/client')

const left = leftovers().filter((name) => !before.includes(name))
if (left.length > 0) fail(`left behind: ${left.join(', ')}`, 1)
console.log(`\n${steps.map(({ command, ms }) => `${command} ${ms.toFixed(0)} ms`).join(' · ')}`)
console.log('Nothing is left of the pods: no link, no namespace, no lease, no record.')

/** Runs one command of podwire as a user would see it. */
function run(...args) {
  console.log(`$ podwire ${args.join(' ')}`)
  const started = performance.now()
  const { status } = spawnSync(podwire[0], [podwire[1], ...args], {
    ...options,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  steps.push({ command: args.slice(0, 2).join(' '), ms: performance.now() - started })
  if (status !== 0) fail(`podwire ${args.join(' ')} exited with ${status}`, 1)
}

/** The same unseen, for what it prints. */
function ask(...args) {
  return spawnSync(podwire[0], [podwire[1], ...args], { ...options, encoding: 'utf8' }).stdout
}

/** The server takes a moment to listen. */
async function fetchFromClient(url) {
  const script = `fetch('${url}').then((r) => r.text()).then((t) => process.stdout.write(t), () => process.exit(1))`
  console.log(`$ podwire exec demo/client -- node -e "${script.split('.then')[0]} …"`)
  const command = [podwire[1], 'exec', 'demo/client', '--', process.execPath, '-e', script]
  for (let attempt = 0; attempt < 20; attempt++) {
    const { status, stdout } = spawnSync(podwire[0], command, { ...options, encoding: 'utf8' })
    if (status === 0) return void process.stdout.write(stdout)
    await sleep(100)
  }
  fail(`no answer from ${url}`, 1)
}

/** What a pod may leave: links, namespaces, files of state. */
function leftovers() {
  const links = readFileSync('/proc/net/dev', 'utf8')
    .split('\n')
    .slice(2)
    .map((line) => `link ${line.split(':')[0].trim()}`)
  const dirs = [
    '/run/netns',
    '/run/podwire/sandboxes',
    '/run/podwire/plugins/kubenet/addresses',
    '/run/podwire/plugins/kubenet/pods',
    '/run/podwire-example-bridge',
    '/run/podwire-example-cni/example-pods',
    '/run/podwire/plugins/cni/results',
  ]
  const files = dirs.flatMap((dir) =>
    existsSync(dir) ? readdirSync(dir).map((name) => `${dir}/${name}`) : [],
  )
  // What a lease store keeps besides its leases.
  return [...links, ...files.filter((file) => !/\/(lock|last_reserved_ip\.\d+|\.tmp)$/.test(file))]
}

function fail(message, code) {
  console.error(`demo: ${message}`)
  process.exit(code)
}
