import { isIsolated } from '@podwire/testing'
import { describe, expect, test } from 'vitest'
import { templateProject, templates } from './template-project.ts'

describe.runIf(isIsolated())('keeps every rule of the contract', { timeout: 300_000 }, () => {
  test.each(templates)('the template %s in %s', async (kind, language) => {
    const project = await templateProject(kind, language)
    const tested = project.run('npm', 'test')
    project.remove()
    expect(tested, tested.output).toMatchObject({ status: 0 })
    expect(tested.output).toMatch(/^# pass [1-9]\d+$/m)
  })
})
