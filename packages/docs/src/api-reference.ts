import { join } from 'node:path'
import { Application, type TypeDocOptions } from 'typedoc'
import type { PluginOptions } from 'typedoc-plugin-markdown'
import { root, type WorkspacePackage } from './workspace.ts'

/** The packages whose interfaces people program against. */
const documented = [
  '@podwire/api',
  '@podwire/core',
  '@podwire/client',
  'podwire',
  '@podwire/libcni',
  '@podwire/netlink',
  '@podwire/testing',
]

/** What can be imported of the packages that have an API reference, and from which source. */
function apiEntries(packages: readonly WorkspacePackage[]): Map<string, string> {
  // What a package passes on of one before it is described there alone.
  return new Map(
    documented
      .flatMap((name) => packages.filter((one) => one.name === name))
      .flatMap(({ entries }) => [...entries]),
  )
}

/** Writes a page for each entry into `out`. Rejects where typedoc has anything to complain of. */
export async function writeApiReference(packages: readonly WorkspacePackage[], out: string): Promise<void> {
  const entries = apiEntries(packages)
  const options: TypeDocOptions & Partial<PluginOptions> = {
    entryPoints: [...entries.values()].map((source) => join(root, source)),
    basePath: root,
    tsconfig: join(root, 'tsconfig.json'),
    plugin: ['typedoc-plugin-markdown'],
    outputs: [{ name: 'markdown', path: out }],
    name: 'API',
    readme: 'none',
    // The type check is a step of its own.
    skipErrorChecking: true,
    excludePrivate: true,
    excludeExternals: true,
    disableSources: true,
    disableGit: true,
    githubPages: false,
    sort: ['source-order'],
    router: 'module',
    entryFileName: 'index',
    hideBreadcrumbs: true,
    hidePageHeader: true,
    useCodeBlocks: true,
    expandObjects: true,
    parametersFormat: 'table',
    interfacePropertiesFormat: 'list',
    treatWarningsAsErrors: true,
    validation: { notExported: false, invalidLink: false, rewrittenLink: true, notDocumented: false },
    logLevel: 'Warn',
  }
  const app = await Application.bootstrapWithPlugins(options)
  const project = await app.convert()
  if (!project) throw new Error('typedoc could not read the sources')
  // typedoc names a module by its source.
  const names = new Map([...entries].map(([entry, source]) => [source.replace(/(\/index)?\.ts$/, ''), entry]))
  for (const module of project.children ?? []) module.name = names.get(module.name) ?? module.name
  app.validate(project)
  await app.generateOutputs(project)
  if (app.logger.hasErrors() || app.logger.hasWarnings())
    throw new Error('typedoc had something to say, see above')
}
