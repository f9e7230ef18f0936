// Bundles the command line, run in its package: zod whole takes 75 ms to import, the part of it that is used, 8.
import { build } from 'esbuild'

await build({
  entryPoints: ['src/main.ts', 'src/index.ts'],
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  conditions: ['podwire-source'],
  external: ['@podwire/netlink', '@podwire/plugin-kubenet', '@podwire/plugin-noop', 'koffi', 'tsx', 'yaml'],
  // commander is CommonJS inside.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
})
