// Runs what the README says, line by line, and shows it. It changes the network of where it runs: `npm run demo -- --nodes 3` gives it one of its own.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const here = new URL('.', import.meta.url).pathname
const readme = readFileSync(`${here}README.md`, 'utf8')
const lines = [...readme.matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block]) => block.trim().split('\n'))

let failed
for (const line of lines) {
  console.log(`$ ${line}`)
  const { status } = spawnSync('sh', ['-ec', line], { cwd: here, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status === 0) continue
  failed = `${line} exited with ${status}`
  break
}
if (failed !== undefined) {
  spawnSync('sh', ['-c', 'cat /run/three-nodes/*.log; ./machines down'], {
    cwd: here,
    stdio: ['ignore', 2, 2],
  })
  console.error(`demo: ${failed}`)
}
process.exit(failed === undefined ? 0 : 1)
