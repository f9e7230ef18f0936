import { expect, test } from 'vitest'
import {
  Capability,
  type CapabilityName,
  capabilitySet,
  describeCapabilities,
  hasCapabilities,
  missingCapabilities,
  NET_PLUGIN_CAPABILITY_SHAPING,
} from '../src/index.ts'

const names = Object.keys(Capability) as CapabilityName[]

test('each capability has a bit of its own, and shaping is that of the kubelet', () => {
  expect(new Set(Object.values(Capability)).size).toBe(names.length)
  for (const bit of Object.values(Capability)) expect(Math.log2(bit) % 1).toBe(0)
  expect(NET_PLUGIN_CAPABILITY_SHAPING).toBe(1)
})

test('every set is described by the names that it was made of', () => {
  for (let set = 0; set < 2 ** names.length; set++) {
    const described = describeCapabilities(set)
    expect(capabilitySet(...(described as CapabilityName[]))).toBe(set)
  }
  expect(describeCapabilities(capabilitySet('gc', 'shaping'))).toEqual(['shaping', 'gc'])
})

test('a bit that this version does not know is named by its number', () => {
  expect(describeCapabilities(Capability.shaping | (1 << 9))).toEqual(['shaping', 'bit 9'])
  expect(describeCapabilities(1 << 31)).toEqual(['bit 31'])
})

test('has, and what is missing', () => {
  const set = capabilitySet('shaping', 'portMappings')
  expect(hasCapabilities(set, Capability.portMappings)).toBe(true)
  expect(hasCapabilities(set, Capability.portMappings | Capability.gc)).toBe(false)
  expect(hasCapabilities(0, 0)).toBe(true)
  expect(missingCapabilities(set, Capability.portMappings | Capability.gc)).toBe(Capability.gc)
  expect(missingCapabilities(set, set)).toBe(0)
})
