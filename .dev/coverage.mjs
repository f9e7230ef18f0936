// What the tests of the engine leave out: a file below the limit fails, unless .dev/coverage-exceptions.json says why.
// Counted is what runs in the process of a test file; what runs in a child process (the command line, a host that is
// killed) is not: that would take the coverage files of some thousand processes, and the source maps of two loaders.
import { existsSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'

const root = new URL('..', import.meta.url).pathname
const limit = 85
// Others skip tests, and what those alone cover says nothing.
const runsAll = process.getuid() === 0
const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))

/** Prints the totals, and each file below the limit; returns 1 where root finds one without a reason, or a reason has no file. */
export function judgeCoverage() {
  const { total, ...files } = read('../coverage/coverage-summary.json')
  const reasons = read('coverage-exceptions.json')
  const rows = Object.entries(files).map(([path, { lines }]) => ({ name: relative(root, path), ...lines }))
  const low = rows.filter(({ pct }) => pct < limit)
  const stale = Object.keys(reasons).filter((name) => !existsSync(`${root}${name}`))

  for (const [name, { covered, total }] of packagesOf(rows)) print((100 * covered) / total, name)
  print(total.lines.pct, 'in all')
  const unexplained = runsAll ? 'no reason given' : 'no reason given; tests that need root were skipped'
  for (const { name, pct } of low)
    print(pct, `${name}: ${reasons[name] ?? `below ${limit} %, ${unexplained}`}`)
  for (const name of stale) console.log(`.dev/coverage-exceptions.json names ${name}, which isn't there`)
  return stale.length > 0 || (runsAll && low.some(({ name }) => !reasons[name])) ? 1 : 0
}

function packagesOf(rows) {
  const packages = new Map()
  for (const { name, covered, total } of rows) {
    const dir = name.split('/').slice(0, 2).join('/')
    const sum = packages.get(dir) ?? { covered: 0, total: 0 }
    packages.set(dir, { covered: sum.covered + covered, total: sum.total + total })
  }
  return packages
}

function print(percentage, text) {
  console.log(`${percentage.toFixed(1).padStart(6)} %  ${text}`)
}
