import { describe, expect, test } from 'vitest'
import { pluginNames } from '../src/plugin-names.ts'

test.each([
  ['mysdn', 'podwire-plugin-mysdn', 'mysdn'],
  ['acme.io/mysdn', 'podwire-plugin-acme.io__mysdn', 'acme.io/mysdn'],
  ['podwire-plugin-acme.io__mysdn', 'podwire-plugin-acme.io__mysdn', 'acme.io/mysdn'],
  ['@acme/podwire-plugin-mysdn', '@acme/podwire-plugin-mysdn', 'acme/mysdn'],
  ['node_modules', 'podwire-plugin-node_modules', 'node_modules'],
])('%s is the package %s and the plugin %s', (given, packageName, pluginName) => {
  expect(pluginNames(given)).toEqual({ packageName, pluginName })
})

describe('a name that npm or Kubernetes forbids is refused with each rule and an example', () => {
  test.each([
    ['MySdn', 'npm allows no capital letters'],
    ['podwire-plugin-MySdn', 'npm allows no capital letters'],
    ['acme.io~mysdn', 'npm allows no "~": write acme.io/mysdn'],
    ['a'.repeat(215), 'longer than 63 characters; npm allows 214 characters'],
    [`@${'a'.repeat(200)}/podwire-plugin-mysdn`, 'npm allows 214 characters'],
    ['a/b/c', 'more than one "/"'],
    ['a__b', '"__" in it would be read as "/"'],
    ['@acme/mysdn', '@acme/podwire-plugin-mysdn'],
    ['@podwire/plugin-mysdn', 'belongs to Podwire'],
    ['kubenet', 'reserved'],
    ['podwire-plugin-cni', 'reserved'],
    ['kubernetes.io/mysdn', 'reserved'],
    ['', 'the name is empty'],
    ['../etc', 'lower-case DNS subdomain'],
    ['-flag', 'begin and end with a letter or digit'],
    ['a b', 'begin and end with a letter or digit'],
  ])('%s', (given, problem) => {
    expect(() => pluginNames(given)).toThrow(problem)
    expect(() => pluginNames(given)).toThrow('Take one such as mysdn or acme.io/mysdn')
  })
})
