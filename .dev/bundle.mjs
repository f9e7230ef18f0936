// Bundles a package that is run, in its directory, before tsc writes its types: bundle.mjs [ENTRY POINT beside `exports`…]
// Node takes a good millisecond to find and read a module, however small, so a command loads few: a file for each entry point
// and what they share. Code of other packages that is used goes into them, and what isn't used of it stays away.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { build } from 'esbuild'
import { thirdPartyLicences } from './third-party-licences.mjs'

rmSync('dist', { recursive: true, force: true })

const { exports } = JSON.parse(readFileSync('package.json', 'utf8'))
const exported = Object.values(exports).flatMap(({ 'podwire-source': source, default: built }) =>
  source ? [{ in: source, out: built.replace(/^\.\/dist\/|\.js$/g, '') }] : [],
)
const named = process.argv.slice(2).map((entry) => ({ in: entry, out: basename(entry, '.ts') }))
const entryPoints = [...exported, ...named]

const { metafile } = await build({
  entryPoints,
  metafile: true,
  outdir: 'dist',
  bundle: true,
  // Where entry points are named, they alone are files: what else they import when it is wanted is small beside a file's cost.
  splitting: named.length === 0,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  // A third less to scan; the source map has the names.
  minifyIdentifiers: true,
  sourcemap: true,
  conditions: ['podwire-source'],
  // Native, or found on disk as plugins are, or wanted by few.
  external: ['koffi', 'tsx', 'yaml', '@podwire/plugin-*', '@podwire/shim', '@podwire/testing'],
  plugins: [builtinsAsAsked(['node:child_process', 'node:crypto', 'node:dgram']), entriesApart(entryPoints)],
  // What is CommonJS inside asks for Node's modules so.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
})

const licences = thirdPartyLicences(metafile)
if (licences !== '') writeFileSync('dist/THIRD-PARTY-NOTICES.txt', licences)

/**
 * Node's own modules, each as it is asked for: an `import` of one asks at once for all that it exports, and of some of that
 * it takes milliseconds to make.
 * @param lazy those that take milliseconds to load, and that most commands never call: loaded at the first call of a function
 */
function builtinsAsAsked(lazy) {
  return {
    name: 'builtins-as-asked',
    setup(build) {
      build.onResolve({ filter: /^node:/ }, ({ path, kind }) => {
        if (kind !== 'require-call') return { path, namespace: 'builtin', sideEffects: false }
        // What is CommonJS inside takes all that there is, and would have it at once: it gets the functions alone.
        return lazy.includes(path) ? { path, namespace: 'builtin-functions' } : undefined
      })
      build.onLoad({ filter: /./, namespace: 'builtin' }, async ({ path }) => {
        const { default: whole, ...named } = await import(path)
        const found = `process.getBuiltinModule('${path}')`
        const asked = (expression) => `/* @__PURE__ */ (() => ${expression})()`
        const contents = Object.keys(named).map((name) =>
          isDeferred(lazy, path, name, named[name])
            ? `export const ${name} = (...args) => ${found}.${name}(...args)`
            : `export const ${name} = ${asked(`${found}.${name}`)}`,
        )
        return { contents: [...contents, `export default ${asked(found)}`].join('\n') }
      })
      build.onLoad({ filter: /./, namespace: 'builtin-functions' }, async ({ path }) => {
        const names = Object.entries(await import(path)).filter(([name, value]) =>
          isDeferred(lazy, path, name, value),
        )
        const contents = names.map(
          ([name]) =>
            `export const ${name} = (...args) => process.getBuiltinModule('${path}').${name}(...args)`,
        )
        return { contents: contents.join('\n') }
      })
    },
  }
}

/** A class can't wait for its first call. */
function isDeferred(lazy, path, name, value) {
  return lazy.includes(path) && typeof value === 'function' && /^[a-z]/.test(name) && name !== 'default'
}

/** `import()` of an entry point, a file's or a package's, stays one, of what is made of it. */
function entriesApart(entries) {
  // A package has its name, everything else is a file here.
  const files = new Map(
    entries.map(({ in: entry, out }) => [entry.endsWith('.ts') ? resolve(entry) : entry, `./${out}.js`]),
  )
  return {
    name: 'entries-apart',
    setup(build) {
      build.onResolve({ filter: /./ }, ({ kind, path, resolveDir }) => {
        const file =
          kind === 'dynamic-import' && files.get(path.startsWith('.') ? resolve(resolveDir, path) : path)
        return file ? { path: file, external: true } : undefined
      })
    },
  }
}
