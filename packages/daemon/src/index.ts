// A program that bundles this package has two copies of the core: this one knows which plugin runs here.
export { currentOperation } from '@podwire/core'
export { type Daemon, type DaemonOptions, startDaemon } from './daemon.ts'
export { groupId } from './group.ts'
export { createDaemonLog, type DaemonLogOptions } from './log.ts'
