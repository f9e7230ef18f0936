import type { DatapathName } from '../observed.ts'
import { bridgeChecker } from './bridge.ts'
import type { DatapathChecker, DatapathSettings } from './datapath.ts'
import { routedChecker } from './routed.ts'

/** A checker for each kind of pod that a host may have, whichever it makes from now on. */
export const datapathCheckers = (settings: DatapathSettings): Record<DatapathName, DatapathChecker> => ({
  routed: routedChecker(settings),
  bridge: bridgeChecker(settings),
})
