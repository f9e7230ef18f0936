// What a CNI plugin needs, and nothing that only a runtime does: a plugin is a process per call.
export { CniCode, CniError, pluginError } from '../errors.ts'
export { readKey } from '../json.ts'
export { convertResult } from '../result/convert.ts'
export type { Interface, IpConfig, Result, Route } from '../result/result.ts'
export { parseCniArgs } from './cni-args.ts'
export { type CniPlugin, cniMain, type PluginResult } from './cni-main.ts'
export type { Delegate } from './delegate.ts'
export type { AttachmentRequest, GcRequest, NetworkRequest } from './request.ts'
