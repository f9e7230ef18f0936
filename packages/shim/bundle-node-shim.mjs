// Bundles the shim of JavaScript into one file that needs nothing beside it: node bundle-node-shim.mjs OUTPUT
import { build } from 'esbuild'

const [output = 'dist/node-shim.cjs'] = process.argv.slice(2)

await build({
  entryPoints: [new URL('src/node/main.ts', import.meta.url).pathname],
  outfile: output,
  bundle: true,
  // A file without an extension, which it becomes, is CommonJS.
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  conditions: ['podwire-source'],
  minifySyntax: true,
  minifyWhitespace: true,
})
