import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { toolVersions } from '../src/package-json.ts'
import { root, type TemplateProject, templateProject, templates } from './template-project.ts'

// That each keeps every rule of the contract is in templates.slow.test.ts; the round trip has that of the first one.

const bin = (name: string) => join(root, 'node_modules/.bin', name)

describe.each(templates)('the template %s in %s', (kind, language) => {
  let project: TemplateProject
  beforeAll(async () => {
    project = await templateProject(kind, language)
  })
  afterAll(() => project.remove())

  test('is formatted, and nothing in it is to be found fault with', () => {
    const checked = project.run(bin('biome'), 'check', '--error-on-warnings')
    expect(checked, checked.output).toMatchObject({ status: 0 })
  })

  test('has its types right', () => {
    const flags = ['--customConditions', 'podwire-source', '--allowImportingTsExtensions']
    const { output } = project.run(bin('tsc'), '-p', '.', ...flags)
    // The sources of the workspace are checked by its own rules.
    expect(output.split('\n').filter((line) => /^(?:src|test)\//.test(line))).toEqual([])
  })
})

test('what a package made here is developed with is what Podwire itself is', () => {
  const { catalog } = parse(readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8'))
  expect(catalog).toMatchObject(toolVersions)
})
