import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { basename, relative, resolve } from 'node:path'
import { isPodwireError, messageOf, printable } from '@podwire/api'
import { Command, CommanderError, Option } from 'commander'
import {
  type Answers,
  defaultDescription,
  defaults,
  type Kind,
  kinds,
  type Language,
  languages,
} from './answers.ts'
import { assertEmpty, create } from './create.ts'
import { errors } from './errors.ts'
import { pluginNames } from './plugin-names.ts'
import { instantiate } from './template.ts'

/** Where the documentation has a page for each code. */
const ERROR_PAGES = 'https://podwire.github.io/podwire/errors'

interface Flags {
  readonly name?: string
  readonly description?: string
  readonly kind?: Kind
  readonly language?: Language
  readonly yes?: boolean
  readonly update?: boolean
  readonly dryRun?: boolean
  readonly force?: boolean
}

/**
 * Runs the command line.
 * @param argv as `process.argv`
 * @returns the exit code: 0 done, 1 failed or cancelled or with conflicts, 2 used wrongly, 130 after Ctrl-C
 */
export async function main(argv: readonly string[]): Promise<number> {
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => interrupted.abort(errors.CANCELLED({})))
  let exitCode = 0
  try {
    await commandLine(async (dir, flags) => {
      exitCode = flags.update
        ? await updatePackage(resolve(dir ?? '.'), flags, interrupted.signal)
        : await createPackage(dir, flags, interrupted.signal)
    }).parseAsync([...argv])
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    const said = [messageOf(error), ...(isPodwireError(error) ? [`help: ${ERROR_PAGES}/${error.code}`] : [])]
    process.stderr.write(said.map((line) => `create-podwire-plugin: ${printable(line)}\n`).join(''))
    if (interrupted.signal.aborted) return 130
    return isPodwireError(error) ? error.exitCode : 1
  }
}

function commandLine(run: (dir: string | undefined, flags: Flags) => Promise<void>): Command {
  const choices = (flags: string, text: string, table: object, byDefault: string) =>
    new Option(flags, `${text} (default: ${byDefault})`).choices(Object.keys(table))
  return new Command('create-podwire-plugin')
    .description(
      'Makes a network plugin package for Podwire that works, and is tested, from the first minute.',
    )
    .argument('[dir]', 'where to write it (default: the name of the package)')
    .option(
      '--name <name>',
      'of the plugin, such as acme.io/mysdn, or of its package (default: as the directory)',
    )
    .addOption(choices('--language <language>', 'what it is written in', languages, defaults.language))
    .addOption(choices('--kind <kind>', 'how it sets a pod up', kinds, defaults.kind))
    .option('--description <sentence>', 'what it does')
    .option('-y, --yes', 'ask nothing: what no flag says is as by default')
    .option('--update', 'merge what changed in the template into a package that was made earlier')
    .option('--dry-run', 'with --update: only say what would change')
    .option('--force', 'with --update: also where changes are not committed')
    .version(ownVersion(), '-V, --version')
    .addHelpText('after', '\nExample:\n  $ npm create podwire-plugin my-plugin -- --name acme.io/mysdn --yes')
    .exitOverride()
    .action(run)
}

async function createPackage(given: string | undefined, flags: Flags, signal: AbortSignal): Promise<number> {
  const name = flags.name ?? (given === undefined ? undefined : nameOfDirectory(given))
  // Before the first question: a directory that can't be used is not worth answers.
  if (given !== undefined) await assertEmpty(resolve(given))
  if (name !== undefined) pluginNames(name)
  const isAsked = !flags.yes && process.stdin.isTTY
  const answers = isAsked ? await askFor(flags, name) : byDefault(flags, name)
  const dir = resolve(given ?? answers.packageName.replace(/^@[^/]+\//, ''))
  await create(dir, instantiate(answers, ownVersion()), signal)
  print(`Wrote ${answers.packageName} to ${dir}`, '', 'Next:', ...nextSteps(dir))
  return 0
}

async function askFor(flags: Flags, name: string | undefined): Promise<Answers> {
  const { ask } = await import('./ask.ts')
  const { description, kind, language } = flags
  return ask({
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    ...(kind === undefined ? {} : { kind }),
    ...(language === undefined ? {} : { language }),
  })
}

function byDefault({ kind, language, description }: Flags, name: string | undefined): Answers {
  if (name === undefined)
    throw errors.BAD_FLAG({
      flag: '--name',
      value: '',
      expected: 'the name of the plugin, or a directory called like it',
    })
  const names = pluginNames(name)
  print(`npm package         ${names.packageName}`, `in a configuration  ${names.pluginName}`)
  return {
    ...defaults,
    description: defaultDescription(names.pluginName),
    ...names,
    ...definedOf({ kind, language, description }),
  }
}

function definedOf<T extends object>(values: T): { [Key in keyof T]?: NonNullable<T[Key]> } {
  // What is left has no undefined.
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
}

// A directory's name serves, where it is a package's or a plugin's.
function nameOfDirectory(dir: string): string {
  return basename(resolve(dir))
}

function nextSteps(dir: string): string[] {
  const path = relative('.', dir)
  return [
    ...(path === '' ? [] : [`  cd ${path}`]),
    '  npm install',
    '  npm test       what a host counts on, tried in real network namespaces',
    '  npm run dev    sets a pod up anew at each save',
  ]
}

async function updatePackage(
  dir: string,
  { dryRun = false, force = false }: Flags,
  signal: AbortSignal,
): Promise<number> {
  const [{ readOrigin, update }, { baseOf }] = await Promise.all([import('./update.ts'), import('./base.ts')])
  const origin = await readOrigin(dir)
  if (!force && !dryRun && hasUncommitted(dir)) throw errors.UNCOMMITTED({ dir })
  const version = ownVersion()
  const base = await baseOf(origin, version, signal)
  const updates = await update(dir, { answers: origin.answers, base, version, dryRun, signal })
  if (updates.length === 0) print(`Nothing has changed in the template since ${origin.version}.`)
  for (const { path, did, conflicts } of updates)
    print(`${did.padEnd(7)} ${path}`, ...conflicts.map((one) => `        ${one}`))
  return updates.some(({ conflicts }) => conflicts.length > 0) ? 1 : 0
}

/** Whether git knows of changes; where there is no git, nobody can tell. */
function hasUncommitted(dir: string): boolean {
  try {
    return execFileSync('git', ['-C', dir, 'status', '--porcelain', '--', '.'], { stdio: 'pipe' }).length > 0
  } catch {
    return false
  }
}

function print(...lines: readonly string[]): void {
  process.stdout.write(`${lines.map(printable).join('\n')}\n`)
}

function ownVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  // It is our own file, and has a version.
  return (JSON.parse(text) as { version: string }).version
}
