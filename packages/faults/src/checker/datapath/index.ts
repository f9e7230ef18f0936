import { type BridgeSettings, bridgeChecker } from './bridge.ts'
import type { DatapathChecker } from './datapath.ts'

/** The data path of a host. */
export type DatapathSettings = BridgeSettings

export const datapathChecker = (settings: DatapathSettings): DatapathChecker => bridgeChecker(settings)
