import { addRules } from './add.ts'
import { checkRules } from './check.ts'
import { concurrencyRules } from './concurrency.ts'
import { configurationRules, errorRules } from './configuration.ts'
import { crashRules } from './crash.ts'
import { delRules } from './del.ts'
import { delegationRules } from './delegation.ts'
import { environmentRules } from './environment.ts'
import { gcRules } from './gc.ts'
import { resultRules } from './result.ts'
import type { Rule } from './rule.ts'
import { statusRules } from './status.ts'
import { versionRules } from './version.ts'

/** All rules of the kit, in the order in which they are tried. */
export const cniRules: readonly Rule[] = [
  ...versionRules,
  ...environmentRules,
  ...configurationRules,
  ...errorRules,
  ...addRules,
  ...resultRules,
  ...delRules,
  ...checkRules,
  ...concurrencyRules,
  ...crashRules,
  ...delegationRules,
  ...gcRules,
  ...statusRules,
]
