import { rmSync } from 'node:fs'

/** Runs after all tests: removes what packed-packages.ts has made for them. */
export function teardown(): void {
  const dir = process.env['PODWIRE_TEST_PACKED']
  if (dir) rmSync(dir, { recursive: true, force: true })
}
