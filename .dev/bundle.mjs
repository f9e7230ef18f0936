// Bundles a package that is run, in its directory, after tsc has written its types: bundle.mjs [ENTRY POINTS beside `exports`…]
// Node takes a good millisecond to find and read a module, however small, so a command loads few: a file for each entry point
// and what they share. Code of other packages that is used goes into them, and what isn't used of it stays away.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { build } from 'esbuild'

// Chunks are named by their content, so those of an earlier build would stay; what tsc wrote stays.
const earlier = existsSync('dist') ? readdirSync('dist').filter((name) => /\.js(\.map)?$/.test(name)) : []
for (const name of earlier) rmSync(`dist/${name}`)

const { exports } = JSON.parse(readFileSync('package.json', 'utf8'))
const exported = Object.values(exports).flatMap(({ 'podwire-source': source }) => source ?? [])
const named = process.argv.slice(2)
const entryPoints = [...exported, ...named]

await build({
  entryPoints,
  outdir: 'dist',
  outbase: 'src',
  bundle: true,
  // Where entry points are named, they alone are files: what else they import when it is wanted is small beside a file's cost.
  splitting: named.length === 0,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  sourcemap: true,
  conditions: ['podwire-source'],
  // Native, or found on disk as plugins are, or wanted by few.
  external: ['koffi', 'tsx', 'yaml', '@podwire/plugin-*'],
  plugins: [lazyBuiltins(['child_process', 'crypto', 'dgram']), entriesApart(entryPoints)],
  // What is CommonJS inside asks for Node's modules so.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
})

/** Node's modules that take milliseconds to load, and that most commands never call: loaded at the first call of a function. */
function lazyBuiltins(names) {
  const filter = new RegExp(`^node:(${names.join('|')})$`)
  return {
    name: 'lazy-builtins',
    setup(build) {
      build.onResolve({ filter }, ({ path }) => ({ path, namespace: 'lazy-builtin', sideEffects: false }))
      build.onLoad({ filter, namespace: 'lazy-builtin' }, async ({ path }) => {
        const functions = Object.entries(await import(path)).filter(
          ([name, value]) => name !== 'default' && typeof value === 'function',
        )
        const contents = functions.map(
          ([name]) =>
            `export const ${name} = (...args) => process.getBuiltinModule('${path}').${name}(...args)`,
        )
        return { contents: contents.join('\n') }
      })
    },
  }
}

/** `import()` of an entry point stays one, of its file. */
function entriesApart(entries) {
  const files = new Map(entries.map((entry) => [resolve(entry), `./${basename(entry, '.ts')}.js`]))
  return {
    name: 'entries-apart',
    setup(build) {
      build.onResolve({ filter: /^\./ }, ({ kind, path, resolveDir }) => {
        const file = kind === 'dynamic-import' ? files.get(resolve(resolveDir, path)) : undefined
        return file ? { path: file, external: true } : undefined
      })
    },
  }
}
