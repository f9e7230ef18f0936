import { join } from 'node:path'

/** The directory where podwire is installed from tarballs, as a user has it, and its command line. */
export function installedPodwire(): { readonly dir: string; readonly podwire: string } {
  const dir = process.env['PODWIRE_BENCH_INSTALLED']
  if (!dir) throw new Error('there is no installed podwire: npm run bench makes one')
  return { dir, podwire: join(dir, 'node_modules/podwire/bin/podwire.js') }
}
