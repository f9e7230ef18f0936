import * as z from 'zod/mini'

/** What a configuration may say under `plugins['{{pluginName}}']`. */
export const options = z.strictObject({
  /** Of pods' links, in bytes; 0: the kernel's own. */
  mtu: z._default(z.number().check(z.int(), z.minimum(0), z.maximum(65_535)), 0),
  /** What pods send everything to. Only they see it: the same address is on this node's end of every link. */
  gateway: z._default(z.ipv4(), '169.254.1.1'),
})

export type Options = z.output<typeof options>
