import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Architecture } from './architectures.ts'
import { debianPackages } from './debian.ts'
import { dynamicSymbols } from './elf.ts'
import { installedProject } from './project.ts'
import type { TestResult } from './result.ts'

/**
 * What can be known of musl where no Node for it is to be had, which is so for npm and for Debian: whether the parts fit together.
 */
export function tryMusl(architecture: Architecture): TestResult[] {
  const project = installedProject(architecture)
  const { triplet, name } = architecture
  const native = join(project, `node_modules/@koromix/koffi-linux-${name}/musl_${name}/koffi.node`)
  const libc = join(debianPackages(architecture, 'musl', ['musl']), `root/usr/lib/${triplet}-musl/libc.so`)
  // Whatever the C library, Node itself needs C++'s.
  const libstdcxx = ['libstdc++6', 'libgcc-s1']
  const cxx = join(debianPackages(architecture, 'c++', libstdcxx), `root/usr/lib/${triplet}-gnu`)
  return [
    attempt(`koffi's part for musl is installed, and needs what musl, C++ and Node have`, () => {
      const libraries = [libc, join(cxx, 'libstdc++.so.6'), join(cxx, 'libgcc_s.so.1')]
      const defined = libraries.map((one) => dynamicSymbols(one).defined)
      const others = [...dynamicSymbols(native).needed].filter(
        (one) => !defined.some((names) => names.has(one)) && !/^(napi|node_api|uv)_/.test(one),
      )
      if (others.length > 0) throw new Error(`nobody has ${others.join(', ')}`)
    }),
    attempt(`musl has all that podwire calls in the C library`, () => {
      const { defined } = dynamicSymbols(libc)
      const called = calledFunctions(join(project, 'node_modules'))
      if (called.length < 15) throw new Error(`only these were found: ${called.join(', ')}`)
      const missing = called.filter((one) => !defined.has(one))
      if (missing.length > 0) throw new Error(`musl has no ${missing.join(', ')}`)
    }),
    {
      name: 'the smoke test with a Node for musl',
      skipped: 'neither npm nor Debian has a Node that is linked with musl',
    },
  ]
}

/** The C functions that are declared in the packages, as published. */
function calledFunctions(nodeModules: string): string[] {
  const called = new Set<string>()
  for (const name of ['@podwire/netlink', '@podwire/libcni', 'podwire']) {
    const dist = join(nodeModules, name, 'dist')
    for (const file of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.js')) continue
      const source = readFileSync(join(dist, file), 'utf8')
      for (const [, name] of source.matchAll(/\.func\(\s*["'`][\w* ]*?(\w+)\(/g)) called.add(name ?? '')
    }
  }
  return [...called].sort()
}

function attempt(name: string, run: () => void): TestResult {
  try {
    run()
    return { name }
  } catch (error) {
    return { name, error: String(error) }
  }
}
