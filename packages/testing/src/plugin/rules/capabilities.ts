import {
  Capability,
  type CapabilityName,
  capabilitySet,
  describeCapabilities,
  describeValue,
  missingCapabilities,
} from '@podwire/api'
import { isObject } from '../../kernel-state/json.ts'
import type { Rule } from '../rule.ts'
import { can } from '../subject.ts'
import { broken, notTried } from '../verdict.ts'

const known = capabilitySet(...(Object.keys(Capability) as CapabilityName[]))
const announced = [
  ['check', 'checkPod'],
  ['gc', 'collectGarbage'],
] as const

export const capabilityRules: readonly Rule[] = [
  {
    id: 'capabilities',
    group: 'capabilities',
    sentence: 'capabilities() returns a bitset of bits that the contract has.',
    reason:
      'A host refuses pods that need a bit which isn’t there; a bit of one’s own means something else in the next version.',
    async try(context) {
      const { plugin } = await context.start()
      context.step('capabilities()')
      const returned: unknown = plugin.capabilities()
      if (!Number.isSafeInteger(returned) || Number(returned) < 0)
        broken(
          `it returned ${describeValue(returned)}, expected a bitset such as capabilitySet('check', 'gc')`,
        )
      const unknown = missingCapabilities(known, Number(returned))
      if (unknown !== 0) broken(`it has ${describeCapabilities(unknown).join(', ')}, which no version knows`)
    },
  },
  {
    id: 'capabilities-methods',
    group: 'capabilities',
    sentence: 'checkPod is there exactly with the bit check, collectGarbage with the bit gc.',
    reason: 'A method without its bit is never called; a bit without its method promises what nobody does.',
    async try(context) {
      const { plugin } = await context.start()
      context.step(`capabilities(): ${describeCapabilities(plugin.capabilities()).join(', ') || 'none'}`)
      for (const [capability, method] of announced) {
        const has = typeof plugin[method] === 'function'
        if (has && !can(plugin, capability))
          broken(`there is a ${method}, and the bit ${capability} is not set`)
        if (!has && can(plugin, capability)) broken(`the bit ${capability} is set, and there is no ${method}`)
      }
    },
  },
  {
    id: 'capabilities-manifest',
    group: 'capabilities',
    sentence: 'The plugin has every capability that the manifest states.',
    reason:
      'Where the active plugin lacks a bit, the host’s error names the plugins whose manifests have it.',
    async try(context) {
      const { podwire } = context.target.packageJson
      const stated = isObject(podwire) ? podwire['capabilities'] : undefined
      if (!Array.isArray(stated)) notTried('the manifest states no capabilities')
      const { plugin } = await context.start()
      context.step(`capabilities(), the manifest stating ${stated.join(', ')}`)
      const names = stated.filter((name): name is CapabilityName => String(name) in Capability)
      const missing = missingCapabilities(plugin.capabilities(), capabilitySet(...names))
      if (missing !== 0) broken(`the plugin lacks ${describeCapabilities(missing).join(', ')}`)
    },
  },
]
