import type { Logger } from '@podwire/api'

/** The logger of a host that was given none. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }
