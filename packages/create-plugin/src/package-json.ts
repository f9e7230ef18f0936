import { escapePluginName } from '@podwire/api'
import type { Answers, Kind } from './answers.ts'

/** Where the answers stand in a package.json. */
export const ANSWERS_KEY = 'create-podwire-plugin'

// What a package made here is developed with: a test compares them with the versions that Podwire itself uses.
export const toolVersions = {
  '@biomejs/biome': '~2.6.8',
  '@types/node': '^20.19.0',
  publint: '^0.3.25',
  tsx: '^4.23.15',
  typescript: '~6.0.3',
  zod: '^4.6.7',
}

const dependenciesOf: Readonly<Record<Kind, readonly string[]>> = {
  native: ['@podwire/netlink'],
  cni: ['@podwire/plugin-cni'],
  exec: ['@podwire/plugin-exec'],
  minimal: [],
}

const filesOf: Readonly<Record<Kind, readonly string[]>> = {
  native: [],
  cni: ['net.d'],
  exec: ['exec'],
  minimal: [],
}

const capabilitiesOf: Readonly<Record<Kind, readonly string[]>> = {
  native: ['check', 'gc'],
  cni: ['dualStack', 'check', 'gc', 'multiNetwork'],
  exec: [],
  minimal: [],
}

/** @param version of this package, which is that of all of Podwire's */
export function packageJson(answers: Answers, version: string): Record<string, unknown> {
  const { packageName, pluginName, description, kind, language } = answers
  const isTypeScript = language === 'typescript'
  const podwire = (...names: readonly string[]) => names.map((name) => [name, `^${version}`] as const)
  const tools = (...names: readonly (keyof typeof toolVersions)[]) =>
    names.map((name) => [name, toolVersions[name]] as const)
  const capabilities = capabilitiesOf[kind]
  return {
    name: packageName,
    version: '0.1.0',
    description,
    keywords: ['podwire', 'podwire-plugin', 'network'],
    type: 'module',
    engines: { node: '>=20.19' },
    exports: {
      '.': isTypeScript ? { types: './dist/index.d.ts', default: './dist/index.js' } : './src/index.js',
      './package.json': './package.json',
    },
    files: [...(isTypeScript ? ['dist', 'src'] : ['src']), ...filesOf[kind]],
    // npm keeps what is executable, and pnpm wants to be told.
    ...(kind === 'exec' ? { publishConfig: { executableFiles: [`./${executableOf(pluginName)}`] } } : {}),
    scripts: {
      check: 'biome check && tsc',
      fix: 'biome check --write',
      test: isTypeScript
        ? 'node --import tsx --test test/conformance.test.ts'
        : 'node --test test/conformance.test.js',
      dev: 'podwire plugin dev .',
      ...(isTypeScript ? { build: 'tsc -p tsconfig.build.json' } : {}),
      prepack: isTypeScript
        ? 'npm run build && publint --strict --pack false'
        : 'publint --strict --pack false',
    },
    podwire: {
      apiVersion: 1,
      plugins: [pluginName],
      ...(capabilities.length > 0 ? { capabilities } : {}),
    },
    [ANSWERS_KEY]: { version, ...answers },
    dependencies: sorted([...podwire(...dependenciesOf[kind]), ...tools('zod')]),
    peerDependencies: { '@podwire/api': `^${version}` },
    devDependencies: sorted([
      ...podwire('@podwire/api', '@podwire/testing', 'podwire'),
      ...tools('@biomejs/biome', '@types/node', 'publint', 'typescript'),
      ...(isTypeScript ? tools('tsx') : []),
    ]),
  }
}

function executableOf(pluginName: string): string {
  return `exec/${escapePluginName(pluginName)}/${pluginName.split('/').at(-1)}`
}

function sorted(entries: readonly (readonly [string, string])[]): Record<string, string> {
  return Object.fromEntries([...entries].sort(([one], [other]) => (one < other ? -1 : 1)))
}
