// What the tests of the engine leave out: a file below the limit fails, unless .dev/coverage-exceptions.json says why.
// Counted is what runs in the process of a test file; what runs in a child process (the command line, a host that is
// killed) is not: that would take the coverage files of some thousand processes, and the source maps of two loaders.
import { existsSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'

const root = new URL('..', import.meta.url).pathname
const limit = 85
const judged = ['packages/core', 'packages/libcni', 'packages/netlink', 'plugins/kubenet']
const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))

/** Prints the totals, and each file below the limit; returns 1 where one has no reason to be, or a reason has no file. */
export function judgeCoverage() {
  const { total, ...files } = read('../coverage/coverage-summary.json')
  const reasons = read('coverage-exceptions.json')
  const low = []
  for (const [path, { lines }] of Object.entries(files)) {
    const name = relative(root, path)
    if (lines.pct < limit && judged.some((dir) => name.startsWith(`${dir}/`))) low.push({ name, lines })
  }
  const stale = Object.keys(reasons).filter((name) => !low.some((file) => file.name === name))

  for (const dir of judged) console.log(row(percentage(linesOf(files, dir)), dir))
  console.log(row(percentage(total.lines), 'all packages and plugins'))
  for (const { name, lines } of low) {
    console.log(
      row(percentage(lines), `${name}: ${reasons[name] ?? `below ${limit} %, and no reason given`}`),
    )
  }
  for (const name of stale) {
    const why = existsSync(`${root}${name}`) ? `is at ${limit} % or more` : "isn't there"
    console.log(`${name} ${why}: remove it from .dev/coverage-exceptions.json`)
  }
  return stale.length > 0 || low.some(({ name }) => !reasons[name]) ? 1 : 0
}

function linesOf(files, dir) {
  const sum = { total: 0, covered: 0 }
  for (const [path, { lines }] of Object.entries(files)) {
    if (!relative(root, path).startsWith(`${dir}/`)) continue
    sum.total += lines.total
    sum.covered += lines.covered
  }
  return sum
}

const percentage = ({ covered, total }) => `${((100 * covered) / total).toFixed(1)} %`
const row = (number, text) => `${number.padStart(8)}  ${text}`
