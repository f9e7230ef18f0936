import { describe, expect, test } from 'vitest'
import {
  escapePluginName,
  isQualifiedName,
  packageNameOfPlugin,
  pluginNameOfPackage,
  qualifiedNameProblems,
  unescapePluginName,
} from '../src/index.ts'

test('every "~" of a directory stands for "/"', () => {
  expect(unescapePluginName('mycompany~mysdn')).toBe('mycompany/mysdn')
  expect(unescapePluginName('a~b~c')).toBe('a/b/c')
  expect(unescapePluginName('plain')).toBe('plain')
  expect(escapePluginName('mycompany/mysdn')).toBe('mycompany~mysdn')
})

describe('qualified names', () => {
  const label = 'a'.repeat(63)
  test.each([
    'a',
    'A.b_c-9',
    'acme.io/mysdn',
    'kubernetes.io/no-op',
    '0/0',
    label,
    `${label}.${label}.${label}.${'b'.repeat(61)}/x`,
  ])('%s is one', (name) => {
    expect(qualifiedNameProblems(name)).toEqual([])
    expect(isQualifiedName(name)).toBe(true)
  })

  test.each([
    ['', 'the name is empty'],
    ['acme.io/', 'the name is empty'],
    ['/mysdn', 'the prefix before "/" is empty'],
    ['a/b/c', 'more than one "/"'],
    ['-a', 'begin and end'],
    ['a.', 'begin and end'],
    ['a b', 'begin and end'],
    ['a\n', 'begin and end'],
    ['ä', 'begin and end'],
    [`a${label}`, 'longer than 63'],
    ['Acme.io/x', 'lower-case DNS subdomain'],
    ['acme_io/x', 'lower-case DNS subdomain'],
    ['acme..io/x', 'lower-case DNS subdomain'],
    ['acme.io\n/x', 'lower-case DNS subdomain'],
    [`${label}.${label}.${label}.${'b'.repeat(62)}/x`, 'at most 253'],
  ])('%j is none: %s', (name, problem) => {
    expect(qualifiedNameProblems(name).join()).toContain(problem)
    expect(isQualifiedName(name)).toBe(false)
  })
})

describe('names of packages', () => {
  test.each([
    ['podwire-plugin-mysdn', 'mysdn'],
    ['podwire-plugin-acme.io__mysdn', 'acme.io/mysdn'],
    ['podwire-plugin-acme.io__my__sdn', 'acme.io/my__sdn'],
    ['@acme/podwire-plugin-mysdn', 'acme/mysdn'],
    ['@podwire/plugin-exec', 'exec'],
    ['@podwire/plugin-', undefined],
    ['@podwire/core', undefined],
    ['podwire-plugin-', undefined],
    ['@acme/plugin-mysdn', undefined],
    ['express', undefined],
  ])('%s offers %s', (packageName, pluginName) => {
    expect(pluginNameOfPackage(packageName)).toBe(pluginName)
  })

  test.each(['mysdn', 'acme.io/mysdn', 'acme.io/my__sdn', 'a_b'])(
    '%s is spelled so that it reads back',
    (name) => {
      expect(pluginNameOfPackage(packageNameOfPlugin(name))).toBe(name)
    },
  )

  test.each([
    ['a__b', 'would be read as "/"'],
    ['MySdn', 'no capital letters'],
    ['a/b/c', 'more than one "/"'],
    [`${'a.'.repeat(100)}io/mysdn`, 'at most 214 characters'],
  ])('%s can not be spelled: %s', (name, problem) => {
    expect(() => packageNameOfPlugin(name)).toThrow(
      expect.objectContaining({ code: 'INVALID_PLUGIN_NAME', message: expect.stringContaining(problem) }),
    )
  })
})
