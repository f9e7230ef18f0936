import { Capability, type CapabilityName } from '@podwire/api'
import * as z from 'zod/mini'

const names = Object.keys(Capability) as [CapabilityName, ...CapabilityName[]]

/** The options of the package, under `exec` in the configuration's `plugins`. */
export const execOptions = z.strictObject({
  /** Where the plugins lie; relative to the configuration file. Default: the kubelet's directory. */
  directory: z._default(z.string(), '/usr/libexec/kubernetes/kubelet-plugins/net/exec/'),
  /** What the executables handle beyond addresses: they can't be asked. */
  capabilities: z._default(z.array(z.enum(names)), []),
})

export type ExecOptions = z.output<typeof execOptions>
