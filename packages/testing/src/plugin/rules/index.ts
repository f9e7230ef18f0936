import type { Rule } from '../rule.ts'
import { abortRules } from './abort.ts'
import { capabilityRules } from './capabilities.ts'
import { changeRules } from './changes.ts'
import { checkRules } from './check.ts'
import { concurrencyRules } from './concurrency.ts'
import { errorRules } from './errors.ts'
import { eventRules } from './events.ts'
import { garbageRules } from './garbage.ts'
import { initRules } from './init.ts'
import { leakRules } from './leaks.ts'
import { optionRules } from './options.ts'
import { packageRules } from './package.ts'
import { podRules } from './pods.ts'
import { processRules } from './process.ts'
import { restartRules } from './restart.ts'
import { statusRules } from './status.ts'

/** All rules of the kit, in the order in which they are tried. */
export const pluginRules: readonly Rule[] = [
  ...packageRules,
  ...optionRules,
  ...initRules,
  ...capabilityRules,
  ...podRules,
  ...statusRules,
  ...changeRules,
  ...concurrencyRules,
  ...abortRules,
  ...errorRules,
  ...eventRules,
  ...checkRules,
  ...garbageRules,
  ...restartRules,
  ...leakRules,
  ...processRules,
]
